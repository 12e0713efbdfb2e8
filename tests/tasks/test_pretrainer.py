"""BertPretrainer: losses and gradients against transformers, fit, files."""

from __future__ import annotations

import json
import pathlib
import runpy

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from bert_keras.checkpoints import names, stores
from bert_keras.errors import UserError
from bert_keras.optimization import AdamW
from bert_keras.tasks import BertPretrainer
from bert_keras.tokenization import BertTokenizer
from tests import small, small_pretraining

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


@pytest.mark.slow
def test_bfloat16_gradients_point_the_same_way(tmp_path):
    random = np.random.default_rng(0)
    ids = random.integers(1, 97, (64, 32)).astype(np.int32)
    features = {
        "token_ids": ids,
        "padding_mask": np.ones_like(ids),
        "mask_positions": random.integers(0, 32, (64, 8)).astype(np.int32),
        "mask_ids": random.integers(1, 97, (64, 8)).astype(np.int32),
        "mask_weights": random.integers(0, 2, (64, 8)).astype(np.float32),
        "next_sentence_labels": random.integers(0, 2, 64).astype(np.int32),
    }
    loss, exact = _loss_and_gradients(_fixed_pretrainer(tmp_path, "gelu"), features)
    mixed = _fixed_pretrainer(tmp_path, "gelu", dtype="mixed_bfloat16")
    rough_loss, rough = _loss_and_gradients(mixed, features)
    assert rough_loss == pytest.approx(loss, rel=2e-3)
    for name, value in exact.items():
        if name.endswith("key.bias"):
            continue
        one, two = value.ravel().astype(np.float64), rough[name].ravel().astype(np.float64)
        cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
        assert cosine > 0.998, (name, cosine)
        # On a CPU without AVX-512, whose kernels round elsewhere, one norm is 2 % off.
        assert np.linalg.norm(two) == pytest.approx(np.linalg.norm(one), rel=0.03), name


def _dataset(count: int, next_sentence: bool = True) -> tf.data.Dataset:
    batches = [small_pretraining.features(8, seed, next_sentence) for seed in range(count)]
    rows = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
    # What the examples carry besides: no matter of the model.
    rows["example_ids"] = np.zeros((8 * count, 3), np.int32)
    return tf.data.Dataset.from_tensor_slices(rows).batch(8, drop_remainder=True)


@pytest.mark.parametrize("next_sentence", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_fit_learns_and_reports_both_losses(next_sentence):
    task = small_pretraining.pretrainer(0.0, next_sentence, initializer_range=0.2)
    task.compile(learning_rate=3e-3)
    history = task.fit(_dataset(4, next_sentence), epochs=10, verbose=0).history
    heads = ("mlm", "nsp") if next_sentence else ("mlm",)
    names = {f"{head}_{kind}" for head in heads for kind in ("loss", "accuracy")}
    assert set(history) == {"loss", *names}
    assert history["mlm_loss"][-1] < 0.5 * history["mlm_loss"][0]
    assert history["mlm_accuracy"][-1] > history["mlm_accuracy"][0]
    sums = np.sum([history[f"{head}_loss"] for head in heads], axis=0)
    np.testing.assert_allclose(history["loss"], sums, rtol=1e-6)
    found = task.evaluate(_dataset(4, next_sentence), return_dict=True, verbose=0)
    assert found["mlm_loss"] == pytest.approx(history["mlm_loss"][-1], rel=0.5)


def test_the_published_rate_is_the_default():
    task = small_pretraining.pretrainer()
    task.compile()
    assert task.optimizer._learning_rate.peak == 1e-4
    task.compile(AdamW(1e-3))
    assert float(task.optimizer.learning_rate) == pytest.approx(1e-3)


def test_strings_and_labels_are_refused():
    task = small_pretraining.pretrainer()
    task.compile(AdamW(1e-3))
    with pytest.raises(UserError, match="features that hold their targets.*of a TensorSpec$"):
        task.fit(tf.data.Dataset.from_tensor_slices(["a film"]).batch(1))
    labelled = _dataset(1).map(lambda features: (features, features["mask_ids"]))
    with pytest.raises(UserError, match="without labels; x is .* of a tuple$"):
        task.fit(labelled)
    with pytest.raises(UserError, match="without labels; received y$"):
        task.evaluate(small_pretraining.features(2), np.zeros(2))


@pytest.mark.parametrize("next_sentence", [True, False])
def test_saved_directories_and_keras_files_give_the_same_losses(tmp_path, next_sentence):
    task = small_pretraining.pretrainer(0.0, next_sentence, initializer_range=0.2)
    random = np.random.default_rng(5)
    for weight in task.network.masked_lm.weights:
        weight.assign(weight + random.normal(0, 0.1, weight.shape))
    features = small_pretraining.features(4, next_sentence=next_sentence)
    expected = {k: float(v.total) for k, v in task.compute_step(features).terms.items()}
    task.save_pretrained(tmp_path / "model")
    settings = json.loads((tmp_path / "model" / "config.json").read_text())
    architecture = "BertForPreTraining" if next_sentence else "BertForMaskedLM"
    assert settings["architectures"] == [architecture]
    copy = BertPretrainer.from_pretrained(tmp_path / "model")
    assert copy.next_sentence == next_sentence and copy.max_length == task.max_length
    task.save(tmp_path / "task.keras")
    for other in (copy, keras.models.load_model(tmp_path / "task.keras")):
        found = {k: float(v.total) for k, v in other.compute_step(features).terms.items()}
        assert found == pytest.approx(expected, rel=1e-6)


def test_a_random_size_takes_the_vocabulary_s_length():
    task = BertPretrainer.from_pretrained("size:L-1_H-64", tokenizer=small.tokenizer())
    assert task.encoder.config.vocab_size == len(small.VOCABULARY)
    assert task.next_sentence and task.max_length == 128
    without = BertPretrainer.from_pretrained(
        "size:L-1_H-64", next_sentence=False, tokenizer=small.tokenizer()
    )
    assert without.encoder.pooler is None
