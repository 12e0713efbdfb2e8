"""Models whose attention heads were pruned, as transformers saves them."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert_keras import checkpoints
from bert_keras.errors import UserError

# Heads by layer; the small checkpoint has two layers of four heads, 8 wide.
PRUNED = {"0": [3, 1], "1": [0, 1, 2, 3]}
FEATURES = {"token_ids": np.array([[2, 5, 6, 7, 3, 8, 9, 3], [2, 8, 9, 9, 4, 6, 5, 3]])}


def _kept(layer: str) -> np.ndarray:
    """The columns of the heads that are left."""
    return np.array([i for i in range(32) if i // 8 not in PRUNED[layer]], np.int64)


def _pruned(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What transformers' `prune_heads` leaves of a model."""
    state = dict(state)
    for layer in PRUNED:
        kept, prefix = _kept(layer), f"bert.encoder.layer.{layer}.attention"
        for part in ("query", "key", "value"):
            for leaf in ("weight", "bias"):
                name = f"{prefix}.self.{part}.{leaf}"
                state[name] = np.ascontiguousarray(state[name][kept])
        name = f"{prefix}.output.dense.weight"
        state[name] = np.ascontiguousarray(state[name][:, kept])
    return state


def test_the_model_computes_what_the_other_heads_compute(write, state):
    found = checkpoints.load_encoder(write(_pruned(state), pruned_heads=PRUNED))
    # A head adds nothing where the output projection does not look at it.
    for layer in PRUNED:
        gone = np.setdiff1d(np.arange(32), _kept(layer))
        state[f"bert.encoder.layer.{layer}.attention.output.dense.weight"][:, gone] = 0
    expected = checkpoints.load_encoder(write(state))
    np.testing.assert_allclose(
        found(FEATURES)["sequence_output"], expected(FEATURES)["sequence_output"], atol=1e-6
    )
    kernel = ops.convert_to_numpy(found.named_weights()["layer_0/self_attention/qkv/kernel"])
    names = [f"bert.encoder.layer.0.attention.self.{part}.weight" for part in ("query", "value")]
    query, value = (state[name].T for name in names)
    np.testing.assert_array_equal(kernel[:, :8], query[:, :8])
    np.testing.assert_array_equal(kernel[:, 8:16], 0)
    np.testing.assert_array_equal(kernel[:, 64 + 16 : 64 + 24], value[:, 16:24])


def test_a_saved_model_is_a_full_one(write, state, tmp_path):
    found = checkpoints.load_encoder(write(_pruned(state), pruned_heads=PRUNED))
    checkpoints.save_pretrained(tmp_path / "saved", found.config, "BertModel", found)
    again = checkpoints.load_encoder(tmp_path / "saved")
    np.testing.assert_array_equal(
        found(FEATURES)["sequence_output"], again(FEATURES)["sequence_output"]
    )


def test_heads_that_are_not_there_and_tensors_that_are_too_short(write, state):
    for wrong in ({"0": [4]}, {"2": [0]}, {"first": [0]}, [0, 1]):
        with pytest.raises(UserError, match=r"pruned_heads is .* expected lists of heads 0 to 3"):
            checkpoints.open_checkpoint(write(state, pruned_heads=wrong))
    folder = write(_pruned(state))
    with pytest.raises(UserError, match=r"query.weight' has shape \[16, 32\], the config asks"):
        checkpoints.load_encoder(folder)
