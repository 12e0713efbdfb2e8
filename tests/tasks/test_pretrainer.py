"""BertPretrainer: losses and gradients against transformers, fit, files."""

from __future__ import annotations

import json
import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from bert_keras.checkpoints import names, stores
from bert_keras.tasks import BertPretrainer
from bert_keras.tokenization import BertTokenizer

GOLDEN_FOLDER = pathlib.Path(__file__).parents[1] / "golden"
GOLDEN = np.load(GOLDEN_FOLDER / "fixed.npz")
FIXED = runpy.run_path(str(GOLDEN_FOLDER / "fixed_weights.py"))
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(92))]


def _fixed_pretrainer(folder: pathlib.Path, activation: str, **arguments) -> BertPretrainer:
    folder.mkdir(exist_ok=True)
    save_file(FIXED["state"](FIXED["pretraining_shapes"]()), folder / "model.safetensors")
    config = {
        **FIXED["CONFIG"],
        "hidden_act": activation,
        "architectures": ["BertForPreTraining"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = BertTokenizer(VOCABULARY)
    return BertPretrainer.from_pretrained(folder, tokenizer=tokenizer, max_length=40, **arguments)


def _fixed_features() -> dict[str, np.ndarray]:
    """The recorded batch, with places of weight 0 at position 0 that must not count."""
    labels = FIXED["labels"]()
    return {
        **FIXED["features"](),
        "mask_positions": np.pad(labels["mask_positions"], ((0, 0), (0, 3))),
        "mask_ids": np.pad(labels["mask_ids"], ((0, 0), (0, 3))),
        "mask_weights": np.pad(np.ones((5, 2), np.float32), ((0, 0), (0, 3))),
        "next_sentence_labels": labels["next_sentence"],
    }


def _loss_and_gradients(pretrainer, features):
    """The loss and its gradients by Hugging Face's tensor names, `[out, in]`."""
    heads = pretrainer._head_weights()
    weights = {("", k): w for k, w in pretrainer.encoder.named_weights().items()}
    weights |= {(head, k): w for head, table in heads.items() for k, w in table.items()}

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            terms = pretrainer.compute_step(features, training=True).terms
            loss = terms["mlm"].mean() + terms["nsp"].mean()
        return loss, tape.gradient(loss, [weight.value for weight in weights.values()])

    loss, gradients = run()
    by_path = dict(zip(weights, map(tf.convert_to_tensor, gradients), strict=True))
    entries = {"": names.encoder_entries(pretrainer.encoder.config, True, "huggingface")}
    entries |= {head: names.head_entries(head, "huggingface") for head in heads}
    named: dict[str, np.ndarray] = {}
    for head, rows in entries.items():
        for entry in rows:
            parts = stores.split_entry(entry, by_path[head, entry.path].numpy())
            named |= {name if head else f"bert.{name}": part for name, part in parts.items()}
    return float(loss), named


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
def test_loss_and_every_gradient_equal_transformers(tmp_path, activation):
    pretrainer = _fixed_pretrainer(tmp_path, activation)
    loss, gradients = _loss_and_gradients(pretrainer, _fixed_features())
    golden = {
        key.removeprefix(f"{activation}/"): GOLDEN[key]
        for key in GOLDEN.files
        if key.startswith(f"{activation}/")
    }
    assert loss == pytest.approx(float(golden["pretraining_loss"]), abs=1e-5)
    expected_names = [str(name) for name in golden["pretraining_gradient_names"]]
    assert sorted(gradients) == sorted(expected_names)
    for name, norm in zip(expected_names, golden["pretraining_gradient_norms"], strict=True):
        got = np.linalg.norm(gradients[name].astype(np.float64))
        # A key's bias moves all scores alike: its gradient is zero but for rounding.
        assert got == pytest.approx(float(norm), rel=2e-4, abs=2e-6), name
    for name, suffix in (
        ("bert.embeddings.word_embeddings.weight", "word_embeddings"),
        ("bert.encoder.layer.0.attention.self.query.weight", "query"),
    ):
        expected = golden[f"pretraining_gradient_{suffix}"]
        np.testing.assert_allclose(gradients[name], expected, atol=1e-5, rtol=2e-4)


def test_loss_of_each_head_equals_transformers(tmp_path):
    terms = _fixed_pretrainer(tmp_path, "gelu").compute_step(_fixed_features()).terms
    assert float(terms["mlm"].mean()) == pytest.approx(float(GOLDEN["gelu/mlm_loss"]), abs=1e-5)
    assert float(terms["nsp"].mean()) == pytest.approx(float(GOLDEN["gelu/nsp_loss"]), abs=1e-5)
    assert float(terms["mlm"].weight) == 10 and float(terms["nsp"].weight) == 5
