"""Losses and gradients of a classifier against transformers, and bfloat16 against float32."""

from __future__ import annotations

import json
import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from bert_keras.checkpoints import names, stores
from bert_keras.tasks import TextClassifier
from bert_keras.tokenization import BertTokenizer

GOLDEN_FOLDER = pathlib.Path(__file__).parents[1] / "golden"
GOLDEN = np.load(GOLDEN_FOLDER / "fixed.npz")
FIXED = runpy.run_path(str(GOLDEN_FOLDER / "fixed_weights.py"))
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(92))]


def _classifier(folder: pathlib.Path, activation: str, **arguments) -> TextClassifier:
    folder.mkdir(exist_ok=True)
    state = FIXED["state"](FIXED["classifier_shapes"]())
    save_file(state, folder / "model.safetensors")
    config = {
        **FIXED["CONFIG"],
        "hidden_act": activation,
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "a", "1": "b", "2": "c"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = BertTokenizer(VOCABULARY)
    return TextClassifier.from_pretrained(folder, tokenizer=tokenizer, max_length=40, **arguments)


def _loss_and_gradients(classifier, features, labels):
    """The mean loss and its gradients by Hugging Face's tensor names, `[out, in]`."""
    weights = {
        **classifier.encoder.named_weights(),
        **{f"classifier/{k}": w for k, w in classifier.classifier.named_weights().items()},
    }

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            result = classifier.compute_step(features, labels, None, training=True)
            loss = result.terms["loss"].mean()
        return loss, tape.gradient(loss, [weight.value for weight in weights.values()])

    loss, gradients = run()
    by_path = dict(zip(weights, map(tf.convert_to_tensor, gradients), strict=True))
    config = classifier.encoder.config
    entries = [
        *names.encoder_entries(config, True, "huggingface"),
        *names.head_entries("classifier", "huggingface"),
    ]
    named: dict[str, np.ndarray] = {}
    for entry in entries:
        named |= stores.split_entry(entry, by_path[entry.path].numpy())
    return float(loss), named


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
def test_loss_and_every_gradient_equal_transformers(tmp_path, activation):
    classifier = _classifier(tmp_path / "model", activation)
    loss, gradients = _loss_and_gradients(
        classifier, FIXED["features"](), FIXED["labels"]()["classes"]
    )
    golden = {
        key.removeprefix(f"{activation}/"): GOLDEN[key]
        for key in GOLDEN.files
        if key.startswith(f"{activation}/")
    }
    assert loss == pytest.approx(float(golden["classifier_loss"]), abs=1e-5)
    expected_names = [str(name) for name in golden["classifier_gradient_names"]]
    ours = {name if name.startswith("classifier") else f"bert.{name}": name for name in gradients}
    assert sorted(ours) == sorted(expected_names)
    for name, norm in zip(expected_names, golden["classifier_gradient_norms"], strict=True):
        got = np.linalg.norm(gradients[ours[name]].astype(np.float64))
        # A key's bias moves all scores alike: its gradient is zero but for rounding.
        assert got == pytest.approx(float(norm), rel=2e-4, abs=1e-6), name
    for name, suffix in (
        ("embeddings.word_embeddings.weight", "word_embeddings"),
        ("encoder.layer.0.attention.self.query.weight", "query"),
    ):
        expected = golden[f"classifier_gradient_{suffix}"]
        np.testing.assert_allclose(gradients[name], expected, atol=2e-6, rtol=1e-4)


def test_bfloat16_gradients_point_the_same_way(tmp_path):
    random = np.random.default_rng(0)
    ids = random.integers(1, 97, (64, 32)).astype(np.int32)
    features = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    labels = random.integers(0, 3, 64)
    folder = tmp_path / "model"
    _, exact = _loss_and_gradients(_classifier(folder, "gelu"), features, labels)
    mixed = _classifier(folder, "gelu", dtype="mixed_bfloat16")
    _, rough = _loss_and_gradients(mixed, features, labels)
    for name, value in exact.items():
        if name.endswith("key.bias"):
            continue
        one, two = value.ravel().astype(np.float64), rough[name].ravel().astype(np.float64)
        cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
        assert cosine > 0.999, (name, cosine)
        # On a CPU without AVX-512, whose kernels round elsewhere, one norm is 2 % off.
        assert np.linalg.norm(two) == pytest.approx(np.linalg.norm(one), rel=0.03), name
