"""TextClassifier's logits, loss and gradients against PyTorch's, by tests/golden/fixed.npz."""

from __future__ import annotations

import json
import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from bert_keras.tasks import TextClassifier

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
FIXED = runpy.run_path(str(GOLDEN / "fixed_weights.py"))


def _write_checkpoint(folder: pathlib.Path, activation: str) -> None:
    save_file(FIXED["state"](FIXED["classifier_shapes"]()), folder / "model.safetensors")
    settings = {
        **FIXED["CONFIG"],
        "hidden_act": activation,
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "no", "1": "maybe", "2": "yes"},
    }
    (folder / "config.json").write_text(json.dumps(settings))
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [f"w{number}" for number in range(FIXED["VOCAB"] - len(specials))]
    (folder / "vocab.txt").write_text("\n".join([*specials, *words]) + "\n")


@pytest.mark.parametrize("activation", FIXED["ACTIVATIONS"])
def test_logits_loss_and_gradients_equal_pytorchs(activation, tmp_path):
    _write_checkpoint(tmp_path, activation)
    classifier = TextClassifier.from_pretrained(tmp_path, max_length=20)
    weights = classifier.encoder.named_weights()
    with tf.GradientTape() as tape:
        logits = classifier(FIXED["features"](), training=True)
        loss = classifier.loss_terms(logits, FIXED["labels"]()["classes"], None).terms["loss"]
        mean = loss.mean()
    variables = classifier.trainable_variables
    gradients = tape.gradient(mean, [variable.value for variable in variables])
    by_path = {v.path: tf.convert_to_tensor(g) for v, g in zip(variables, gradients, strict=True)}
    words = by_path[weights["embeddings/word_embeddings"].path]
    qkv = by_path[weights["layer_0/self_attention/qkv/kernel"].path]

    recorded = np.load(GOLDEN / "fixed.npz")
    norms = recorded[f"{activation}/classifier_gradient_norms"]
    for found, name in (
        (logits, "class_logits"),
        (mean, "classifier_loss"),
        (words, "classifier_gradient_word_embeddings"),
        (qkv[:, : FIXED["HIDDEN"]], "classifier_gradient_query"),
        (tf.linalg.global_norm(list(by_path.values())), None),
    ):
        expected = np.sqrt(np.sum(norms**2)) if name is None else recorded[f"{activation}/{name}"]
        # PyTorch keeps kernels as [out, in].
        expected = expected.T if name == "classifier_gradient_query" else expected
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=name or "norm")
