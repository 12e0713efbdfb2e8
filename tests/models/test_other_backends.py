"""The `keras.ops` forms of the kernels, on the JAX backend, against TensorFlow's."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from bert_keras.config import BertConfig
from bert_keras.models.encoder import BertEncoder

_OTHER = """
import sys
import keras, numpy as np
from bert_keras.config import BertConfig
from bert_keras.models.encoder import BertEncoder

assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
stored = np.load(sys.argv[1])
for act in ("gelu", "gelu_new", "silu"):
    encoder = BertEncoder(BertConfig(**{**CONFIG, "hidden_act": act}))
    for path, weight in encoder.named_weights().items():
        weight.assign(stored[path])
    names = ("token_ids", "segment_ids", "padding_mask")
    plain = encoder({name: stored["x/" + name] for name in names})
    np.testing.assert_allclose(plain["pooled_output"], stored[act + "/plain"], atol=2e-6)
    names = (*names, "position_ids", "sequence_ids", "cls_positions")
    packed = encoder({name: stored["p/" + name] for name in names})
    np.testing.assert_allclose(packed["pooled_output"], stored[act + "/packed"], atol=2e-6)
    seeded = {**{name: stored["x/" + name] for name in names[:3]}, "dropout_seed": np.array([1, 2])}
    first = encoder(seeded, training=True)["pooled_output"]
    np.testing.assert_array_equal(first, encoder(seeded, training=True)["pooled_output"])
    assert np.abs(first - plain["pooled_output"]).max() > 1e-3
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


def test_the_jax_backend_gives_the_same_numbers(tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
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
    np.savez(tmp_path / "stored.npz", **stored, **weights)
    result = subprocess.run(
        [sys.executable, "-c", f"CONFIG = {CONFIG!r}\n{_OTHER}", str(tmp_path / "stored.npz")],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == "same numbers", result.stderr[-2000:]
