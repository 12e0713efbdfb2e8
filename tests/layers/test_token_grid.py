"""Tokens as rows and by attention heads on a grid: nothing is lost or exchanged on the way."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.layers.token_grid import TokenGrid

_NO_BIAS = tf.zeros([1, 1, 1, 1])


def _marked(batch: int, length: int, parts: int, heads: int, size: int) -> np.ndarray:
    """Rows whose values name their place: `[batch, length, parts, heads, size]`."""
    shape = (batch, length, parts, heads, size)
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("training", [False, True])
def test_heads_are_a_transposition(training):
    marked = _marked(3, 5, 3, 4, 2)
    grid = TokenGrid(3, 5, training, _NO_BIAS)
    heads = grid.to_heads(tf.reshape(marked, [15, 24]), 3, 4)
    np.testing.assert_array_equal(tf.stack(heads), marked.transpose(2, 0, 3, 1, 4))
    np.testing.assert_array_equal(grid.to_rows(heads[1]), marked[:, :, 1].reshape(15, 8))


def test_the_gradients_are_those_of_a_transposition():
    marked = tf.constant(_marked(3, 5, 3, 4, 2))
    factors = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 4, 5, 2)), tf.float32)
    grid = TokenGrid(3, 5, True, _NO_BIAS)
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
