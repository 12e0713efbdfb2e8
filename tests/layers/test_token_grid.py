"""Tokens as rows, as a grid, and by attention heads: nothing is lost or exchanged on the way."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.layers.token_grid import TokenGrid


def _marked(batch: int, length: int, parts: int, heads: int, size: int) -> np.ndarray:
    """Rows whose values name their place: `[batch, length, parts, heads, size]`."""
    shape = (batch, length, parts, heads, size)
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("training", [False, True])
def test_heads_are_a_transposition(training):
    marked = _marked(3, 5, 3, 4, 2)
    grid = TokenGrid(3, 5, training)
    heads = grid.to_heads(tf.reshape(marked, [15, 24]), 3, 4)
    np.testing.assert_array_equal(tf.stack(heads), marked.transpose(2, 0, 3, 1, 4))
    np.testing.assert_array_equal(grid.to_rows(heads[1]), marked[:, :, 1].reshape(15, 8))


def test_the_gradients_are_those_of_a_transposition():
    marked = tf.constant(_marked(3, 5, 3, 4, 2))
    factors = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 4, 5, 2)), tf.float32)
    grid = TokenGrid(3, 5, training=True)
    rows = tf.reshape(marked, [15, 24])
    with tf.GradientTape() as tape:
        tape.watch(rows)
        heads = tf.stack(grid.to_heads(rows, 3, 4)) * factors
        total = tf.reduce_sum(grid.to_rows(heads[0] * heads[1] + heads[2]) ** 2)
    got = tape.gradient(total, rows)
    with tf.GradientTape() as tape:
        tape.watch(marked)
        heads = tf.transpose(marked, [2, 0, 3, 1, 4]) * factors
        total = tf.reduce_sum((heads[0] * heads[1] + heads[2]) ** 2)
    expected = tf.reshape(tape.gradient(total, marked), [15, 24])
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_only_real_tokens_are_rows(data):
    batch, length = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    bits = st.lists(st.integers(0, 1), min_size=batch * length, max_size=batch * length)
    mask = np.array(data.draw(bits), np.int32).reshape(batch, length)
    marked = _marked(batch, length, 2, 3, 2)
    kept = mask.astype(bool)
    kept[:, 0] = True
    grid = TokenGrid(batch, length, training=False, mask=tf.constant(mask))
    rows = grid.pack(tf.reshape(marked, [batch * length, 12]))
    np.testing.assert_array_equal(rows, marked[kept].reshape(-1, 12))
    np.testing.assert_array_equal(grid.unpack(rows).numpy()[kept], marked[kept].reshape(-1, 12))
    heads = tf.stack(grid.to_heads(rows, 2, 3)).numpy()
    expected = marked.transpose(2, 0, 3, 1, 4)
    seen = np.broadcast_to(kept[None, :, None, :, None], expected.shape)
    np.testing.assert_array_equal(heads[seen], expected[seen])
    back = grid.to_rows(tf.constant(heads[1]))
    np.testing.assert_array_equal(back, marked[kept][:, 1].reshape(-1, 6))


def test_a_batch_of_no_examples():
    grid = TokenGrid(0, 4, training=False, mask=tf.zeros([0, 4], tf.int32))
    rows = grid.pack(tf.zeros([0, 12]))
    heads = grid.to_heads(rows, 2, 3)
    assert heads[0].shape == (0, 3, 4, 2) and grid.to_rows(heads[0]).shape == (0, 6)
    assert grid.unpack(rows).shape == (0, 4, 12)
