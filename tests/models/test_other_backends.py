"""The JAX backend against TensorFlow: the encoder's numbers, and updates of pretraining."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.config import BertConfig
from bert_keras.layers.basic import named_weights
from bert_keras.models.encoder import BertEncoder
from bert_keras.optimization import AdamW
from tests import small_pretraining

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)

_ENCODER = """
import functools, sys
import jax, keras, numpy as np
from bert_keras.config import BertConfig
from bert_keras.layers import kernels
from bert_keras.models.encoder import BertEncoder

assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
stored = np.load(sys.argv[1])
assert not kernels.has_flash_attention(np.zeros((1, 1, 2, 8)))
for act, flash in (("gelu", False), ("gelu_new", False), ("silu", False), ("gelu", True)):
    if flash:
        # The fused kernel itself needs a GPU; what it is given does not.
        kernels.has_flash_attention = lambda query: True
        kernels.flash_attention = functools.partial(kernels.flash_attention, implementation="xla")
    encoder = BertEncoder(BertConfig(**{**CONFIG, "hidden_act": act}))
    for path, weight in encoder.named_weights().items():
        weight.assign(stored[path])
    run = jax.jit(
        lambda features, training=False: encoder(features, training=training)["pooled_output"],
        static_argnames="training",
    )
    names = ("token_ids", "segment_ids", "padding_mask")
    features = {name: stored["x/" + name] for name in names}
    plain = run(features)
    np.testing.assert_allclose(plain, stored[act + "/plain"], atol=2e-6)
    if act != "gelu":
        continue
    names = (*names, "position_ids", "sequence_ids", "cls_positions")
    packed = run({name: stored["p/" + name] for name in names})
    np.testing.assert_allclose(packed, stored[act + "/packed"], atol=2e-6)
    seeded = features | {"dropout_seed": np.array([1, 2])}
    first = run(seeded, training=True)
    np.testing.assert_array_equal(first, run(seeded, training=True))
    assert np.abs(first - plain).max() > 1e-3
print("same numbers")
"""

_UPDATES = """
import dataclasses, sys
import jax, keras, numpy as np
from bert_keras.config import BertConfig
from bert_keras.layers.basic import named_weights
from bert_keras.models.encoder import BertEncoder
from bert_keras.models.pretrainer import PretrainingNetwork
from bert_keras.optimization import AdamW

stored = np.load(sys.argv[1])
network = PretrainingNetwork(BertEncoder(BertConfig.from_dict(CONFIG)))
for path, weight in named_weights(network).items():
    weight.assign(stored["before/" + path])
network.compile(optimizer=AdamW(3e-4, weight_decay=0.5))
batches = [
    {name.split("/")[1]: stored[name] for name in stored if name.startswith(f"{step}/")}
    for step in range(3)
]
plain = jax.jit(lambda batch: {
    name: dataclasses.astuple(one) for name, one in network.losses_of(batch).items()
})(batches[0])
for name in ("mlm", "nsp"):
    np.testing.assert_allclose(plain[name], stored["plain/" + name], rtol=2e-6)
for features, expected in zip(batches, stored["losses"]):
    np.testing.assert_allclose(network.train_on_batch(features), expected, atol=1e-5)
for path, weight in named_weights(network).items():
    np.testing.assert_allclose(weight, stored["after/" + path], atol=1e-5, err_msg=path)
assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
print("same numbers")
"""

CONFIG = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 16,
}


def _on_jax(script: str, config: dict, stored: dict, folder: pathlib.Path) -> None:
    """Runs a script with arrays to compare with."""
    np.savez(folder / "stored.npz", **stored)
    result = subprocess.run(
        [sys.executable, "-c", f"CONFIG = {config!r}\n{script}", str(folder / "stored.npz")],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip().endswith("same numbers"), result.stderr[-2000:]


@pytest.mark.slow
def test_the_encoder_gives_the_same_numbers(tmp_path):
    random = np.random.default_rng(0)
    plain = {
        "token_ids": random.integers(1, 50, (2, 6)).astype(np.int32),
        "segment_ids": random.integers(0, 2, (2, 6)).astype(np.int32),
        "padding_mask": np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], np.int32),
    }
    packed = {
        **{name: value[:1] for name, value in plain.items()},
        "position_ids": np.array([[0, 1, 0, 1, 0, 0]], np.int32),
        "sequence_ids": np.array([[1, 1, 2, 2, 0, 0]], np.int32),
        "cls_positions": np.array([[0, 2, -1]], np.int32),
    }
    stored = {f"x/{name}": value for name, value in plain.items()}
    stored |= {f"p/{name}": value for name, value in packed.items()}
    weights: dict[str, np.ndarray] = {}
    for activation in ("gelu", "gelu_new", "silu"):
        encoder = BertEncoder(BertConfig(**{**CONFIG, "hidden_act": activation}))
        for path, weight in encoder.named_weights().items():
            value = random.normal(size=weight.shape).astype(np.float32) * 0.3
            weight.assign(weights.setdefault(path, value))
        stored[f"{activation}/plain"] = encoder(plain)["pooled_output"].numpy()
        stored[f"{activation}/packed"] = encoder(packed)["pooled_output"].numpy()
    _on_jax(_ENCODER, CONFIG, {**stored, **weights}, tmp_path)


@pytest.mark.slow
def test_updates_of_pretraining_give_the_same_weights(tmp_path):
    task = small_pretraining.pretrainer(dropout=0.0, initializer_range=0.2)
    task.compile(optimizer=AdamW(3e-4, weight_decay=0.5))

    @tf.function
    def update(features):
        return tf.add_n([term.mean() for term in task.update(features).terms.values()])

    def weights() -> dict[str, np.ndarray]:
        return {path: weight.numpy() for path, weight in named_weights(task.network).items()}

    plain = task.network.losses_of(small_pretraining.features(6, seed=0))
    stored = {f"plain/{name}": dataclasses.astuple(one) for name, one in plain.items()}
    before, losses = weights(), []
    for step in range(3):
        features = small_pretraining.features(6, seed=step)
        if step:
            # Uneven weights, and an example that does not count.
            features["mask_weights"][2] *= 0.25
            features["next_sentence_weights"][1] = 0.0
        stored |= {f"{step}/{name}": value for name, value in features.items()}
        losses.append(update({name: tf.constant(value) for name, value in features.items()}))
    after = weights()
    # Further than the two may differ: an update left out would be seen in every weight.
    assert all(np.abs(after[path] - before[path]).max() > 5e-5 for path in before)
    stored |= {f"before/{path}": value for path, value in before.items()}
    stored |= {f"after/{path}": value for path, value in after.items()}
    _on_jax(_UPDATES, task.encoder.config.to_dict(), stored | {"losses": losses}, tmp_path)
