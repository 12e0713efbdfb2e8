"""KerasHub presets against KerasHub's own forward pass."""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import pytest
from keras import ops

from bert_keras import checkpoints
from bert_keras.errors import UserError
from bert_keras.layers.masked_lm_head import MaskedLMHead
from bert_keras.tasks import TextClassifier, task_of

keras_hub = pytest.importorskip("keras_hub", reason="keras-nlp is not installed")

FEATURES = {
    "token_ids": np.array([[2, 5, 6, 7, 3, 8, 9, 3], [2, 8, 3, 0, 0, 0, 0, 0]], np.int32),
    "segment_ids": np.array([[0, 0, 0, 0, 0, 1, 1, 1], [0] * 8], np.int32),
    "padding_mask": np.array([[1] * 8, [1] * 3 + [0] * 5], np.int32),
}
REAL = FEATURES["padding_mask"] == 1


@pytest.fixture(scope="module")
def backbone():
    """A small BertBackbone with weights large enough that a mistake shows."""
    model = keras_hub.models.BertBackbone(
        vocabulary_size=97,
        num_layers=2,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=48,
        dropout=0.2,
        max_sequence_length=40,
    )
    random = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.3, weight.shape) + weight.path.endswith("gamma"))
    return model


@pytest.fixture(scope="module")
def tokenizer(pieces):
    return keras_hub.models.BertTokenizer(pieces, lowercase=True)


@pytest.fixture(scope="module")
def preset(backbone, tokenizer, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("keras_hub") / "backbone"
    backbone.save_to_preset(folder)
    tokenizer.save_to_preset(folder)
    return folder


def assert_same_outputs(encoder, backbone) -> None:
    ours, theirs = encoder(FEATURES), backbone(FEATURES)
    for name in ("sequence_output", "pooled_output"):
        found, expected = (ops.convert_to_numpy(output[name]) for output in (ours, theirs))
        if name == "sequence_output":
            found, expected = found[REAL], expected[REAL]
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5, err_msg=name)


def test_a_backbone_computes_the_same(preset, backbone):
    checkpoint = checkpoints.open_checkpoint(preset)

    assert checkpoint.format == "keras_hub"
    assert checkpoint.config.activation == "gelu_tanh"
    assert checkpoint.config.hidden_dropout_prob == 0.2
    assert checkpoint.config.attention_probs_dropout_prob == 0.2
    assert not any(map(checkpoint.has_head, ("masked_lm", "next_sentence", "classifier")))
    assert_same_outputs(checkpoint.encoder(), backbone)


def test_the_tokenizer_is_the_preset_s(preset, pieces):
    encoder, tokenizer = checkpoints.load(preset)

    assert tokenizer.vocabulary == pieces
    assert tokenizer.lowercase
    features = tokenizer(["The cats sat."])
    np.testing.assert_array_equal(features["token_ids"], [[2, 5, 6, 7, 8, 9, 3]])
    assert encoder(features)["sequence_output"].shape == (1, 7, 32)


def test_a_masked_lm_preset_brings_its_head(backbone, tokenizer, tmp_path):
    preprocessor = keras_hub.models.BertMaskedLMPreprocessor(tokenizer, sequence_length=8)
    task = keras_hub.models.BertMaskedLM(backbone, preprocessor=preprocessor)
    head = task.masked_lm_head
    random = np.random.default_rng(2)
    own = [weight for weight in head.weights if "token_embedding" not in weight.path]
    for weight in own:
        weight.assign(random.normal(0, 0.3, weight.shape) + weight.path.endswith("gamma"))
    task.save_to_preset(tmp_path / "preset")

    checkpoint = checkpoints.open_checkpoint(tmp_path / "preset")
    encoder = checkpoint.encoder()
    ours = MaskedLMHead(encoder.config, name="masked_lm")
    ours.build()
    checkpoint.fill_head("masked_lm", ours.named_weights())

    assert_same_outputs(encoder, backbone)
    # Where theirs differs from published BERT, ours is told to differ in the same way.
    ours.dense.activation = "gelu"
    ours.layer_norm.epsilon = 1e-5
    positions = np.array([[1, 6], [1, 2]])
    sequence = ops.convert_to_numpy(backbone(FEATURES)["sequence_output"])
    expected = head(sequence, positions)
    rows = np.take_along_axis(sequence, positions[:, :, None], axis=1).reshape(-1, 32)
    found = ours(rows, encoder.embeddings.word_embeddings)
    np.testing.assert_allclose(
        np.reshape(found, (2, 2, 97)), ops.convert_to_numpy(expected), rtol=0, atol=1e-4
    )


def test_a_classifier_preset_brings_its_head(backbone, tokenizer, tmp_path):
    task = keras_hub.models.BertTextClassifier(
        backbone,
        num_classes=3,
        preprocessor=keras_hub.models.BertTextClassifierPreprocessor(tokenizer),
    )
    task.save_to_preset(tmp_path / "preset")

    checkpoint = checkpoints.open_checkpoint(tmp_path / "preset")
    head = checkpoint.head("classifier")
    pooled = ops.convert_to_numpy(checkpoint.encoder()(FEATURES)["pooled_output"])

    logits = pooled @ head["classifier/kernel"] + head["classifier/bias"]
    np.testing.assert_allclose(logits, task(FEATURES), rtol=0, atol=2e-5)

    assert task_of(checkpoint) is TextClassifier
    loaded = TextClassifier.from_pretrained(tmp_path / "preset")
    assert loaded.labels == ["LABEL_0", "LABEL_1", "LABEL_2"]
    np.testing.assert_allclose(loaded(FEATURES), task(FEATURES), rtol=0, atol=2e-5)

    # As KerasNLP wrote it.
    saved = json.loads((tmp_path / "preset" / "task.json").read_text())
    saved |= {"class_name": "BertClassifier", "registered_name": "keras_nlp>BertClassifier"}
    (tmp_path / "preset" / "task.json").write_text(json.dumps(saved))
    older = TextClassifier.from_pretrained(tmp_path / "preset", labels=["x", "y", "z"])
    np.testing.assert_allclose(older(FEATURES), task(FEATURES), rtol=0, atol=2e-5)


def test_damaged_presets_are_refused_in_one_line(preset, tmp_path):
    folder = tmp_path / "preset"
    shutil.copytree(preset, folder)
    weights = folder / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:3000])
    assert_refused(folder, "KerasHub cannot load this preset: ")

    settings = json.loads((folder / "config.json").read_text())
    del settings["config"]["num_heads"]
    (folder / "config.json").write_text(json.dumps(settings))
    assert_refused(folder, "config.json: missing num_heads")

    settings["class_name"] = "RobertaBackbone"
    (folder / "config.json").write_text(json.dumps(settings))
    assert_refused(folder, "a preset of RobertaBackbone, expected BertBackbone")


def test_a_preset_without_its_tokenizer(preset, tmp_path):
    folder = tmp_path / "preset"
    shutil.copytree(preset, folder)
    (folder / "tokenizer.json").unlink()

    assert checkpoints.load_encoder(folder).add_pooler
    with pytest.raises(UserError, match="has no tokenizer"):
        checkpoints.load(folder)


def test_an_unknown_name_is_refused_in_one_line():
    assert_refused("kerashub:no_such_preset", "kerashub:no_such_preset: KerasHub cannot load")


def assert_refused(init: str | pathlib.Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        checkpoints.load_encoder(init)
    assert "\n" not in str(error.value)
