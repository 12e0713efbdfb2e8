"""Rows chosen by position, on every kind of layout."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.layers.token_layout import all_places, real_tokens


@st.composite
def _lengths_and_positions(draw) -> tuple[np.ndarray, np.ndarray, int]:
    """Lengths of some examples, a few positions of real tokens in each, and the batch's length."""
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6))
    count = draw(st.integers(1, 3))
    positions = [[draw(st.integers(0, n - 1)) for _ in range(count)] for n in lengths]
    return np.array(lengths), np.array(positions, np.int32), draw(st.integers(max(lengths), 8))


@settings(deadline=None, max_examples=60)
@given(_lengths_and_positions(), st.sampled_from(["all", "one grid", "two grids"]))
def test_they_are_those_of_the_batch_and_stand_right_on_their_grid(case, kind):
    lengths, positions, length = case
    mask = tf.constant((np.arange(length) < lengths[:, None]).astype(np.int32))
    if kind == "all":
        layout = all_places(mask, None, training=False)
    else:
        layout = real_tokens(mask, None, split=kind == "two grids")
    # What a row holds tells its example and its position.
    named = np.arange(len(lengths) * length, dtype=np.int32).reshape(len(lengths), length)
    rows = tf.cast(tf.reshape(layout.pack(tf.constant(named)), [-1, 1]), tf.float32)
    chosen = layout.choose(tf.constant(positions))
    expected = np.take_along_axis(named, positions, axis=1)
    found = chosen.unpack(chosen.of(rows)).numpy()
    np.testing.assert_array_equal(found[:, :, 0], expected)
    on_grids = []
    for grid, own in zip(layout.grids, chosen.positions, strict=True):
        (piece,) = grid.to_heads(rows, 1, 1)
        on_grids.append(tf.gather(piece[:, 0, :, 0], own, batch_dims=1).numpy())
    np.testing.assert_array_equal(np.concatenate(on_grids).ravel(), chosen.of(rows)[:, 0])
