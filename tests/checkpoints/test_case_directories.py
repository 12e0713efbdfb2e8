"""The directories of `cases/checkpoints`, as real repositories have them: read by value, or refused
in one line.

Numbers are transformers' 4.57 and sentence-transformers' 5.7 for bert-tiny-mlm, from which the
directories are made. Where they rest on random tensors of the script that makes them, they are
computed here from the files.
"""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from keras import ops
from safetensors.numpy import load_file

from bert_keras import checkpoints
from bert_keras.errors import UserError
from bert_keras.tasks import (
    SentenceEmbedder,
    TextClassifier,
    TextRegressor,
    TokenTagger,
    task_of,
)

# "the film was great" and "a bad plot and awful actors, really".
FEATURES = {
    "token_ids": np.array(
        [
            [101, 1996, 2143, 2001, 2307, 102, 0, 0, 0, 0],
            [101, 1037, 2919, 5436, 1998, 9643, 5889, 1010, 2428, 102],
        ]
    )
}
# transformers' first states of [CLS] of the first text.
GELU = [-0.5977179408073425, -1.6698405742645264, -2.9818472862243652, -0.6165039539337158]
GELU_TANH = [-0.5983186960220337, -1.670267939567566, -2.9809112548828125, -0.6158776879310608]
HALF = [-0.5980856418609619, -1.6682676076889038, -2.9792966842651367, -0.6159521341323853]


@pytest.fixture(scope="module")
def cases(assets) -> pathlib.Path:
    folder = assets / "cases" / "checkpoints"
    if not folder.is_dir():
        pytest.skip("cases/checkpoints is not among the assets of BERT_KERAS_ASSETS")
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("old_keys", GELU),
        ("no_pooler", GELU),
        ("sharded", GELU),
        ("crlf_vocab", GELU),
        ("max_len_1e30", GELU),
        ("table_plus_1000", GELU),
        ("bare_fp16", HALF),
        ("act_fast", GELU_TANH),
    ],
)
def test_encoders(name, expected, cases):
    encoder = checkpoints.load_encoder(cases / name)
    found = ops.convert_to_numpy(encoder(FEATURES)["sequence_output"])[0, 0, :4]
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)
    assert encoder.add_pooler == (name != "no_pooler")


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("cls2_no_labels", TextClassifier, 2),
        ("cls3_num_labels", TextClassifier, 3),
        ("cls5_underscore", TextClassifier, 5),
        ("ner2_no_labels", TokenTagger, 2),
        ("cross", TextRegressor, 1),
    ],
)
def test_trained_heads(name, kind, labels, cases):
    checkpoint = checkpoints.open_checkpoint(cases / name)
    assert task_of(checkpoint) is kind
    model = kind.from_pretrained(cases / name)
    logits = np.asarray(model({**FEATURES, "padding_mask": FEATURES["token_ids"] > 0}))
    tensors = load_file(cases / name / "model.safetensors")
    output = checkpoints.load_encoder(cases / name)(FEATURES)
    states = output["sequence_output" if kind is TokenTagger else "pooled_output"]
    weight, bias = tensors["classifier.weight"], tensors["classifier.bias"]
    expected = ops.convert_to_numpy(states) @ weight.T + bias
    if kind is TextRegressor:
        expected = expected[:, 0]
    elif kind is TokenTagger:
        logits, expected = logits[1], expected[1]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-6)
    if kind is not TextRegressor:
        assert model.labels == [f"LABEL_{row}" for row in range(labels)]


@pytest.mark.parametrize("name", ["st_plain", "st_prompt"])
def test_embedders(name, cases):
    """The first numbers of sentence-transformers' vector of a text; its default prompt is in
    front of it where there is one."""
    embedder = SentenceEmbedder.from_pretrained(cases / name)
    assert (embedder.max_length, embedder.pooling, embedder.normalize) == (256, "mean", False)
    text = ["how many people live in berlin"]
    plain = [-1.2070411443710327, -1.209137201309204, -1.4440945386886597, -0.9416725039482117]
    query = [-1.440811038017273, -0.953387975692749, -1.2105094194412231, -1.2671993970870972]
    expected = {"st_plain": plain, "st_prompt": query}[name]
    np.testing.assert_allclose(embedder.embed(text)[0, :4], expected, atol=2e-6)
    if name == "st_prompt":
        np.testing.assert_allclose(embedder.encode_query(text)[0, :4], query, atol=2e-6)
        np.testing.assert_allclose(embedder.encode_document(text)[0, :4], plain, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lfs", "model.safetensors: is a git-lfs pointer, not the file itself: install git-lfs"),
        ("bin_only", "has pytorch_model.bin only, expected model.safetensors; transformers 4.57"),
        ("h5_only", "BertForMaskedLM.from_pretrained"),
        ("st_moddense", "the modules are Transformer, Pooling, Dense, Normalize, expected"),
    ],
)
def test_what_is_refused(name, message, cases):
    assert json.loads((cases / name / "config.json").read_text())["model_type"] == "bert"
    with pytest.raises(UserError) as error:
        SentenceEmbedder.from_pretrained(cases / name)
    assert message in str(error.value) and "\n" not in str(error.value)
