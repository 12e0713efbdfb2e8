"""Rows of tokens made inside the graph, run some at a time, and values of rows as matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Features = dict[str, tf.Tensor]

# Tokens, padding included, that the model takes at once: a long text becomes many rows, whose
# attention would not fit into memory all together.
_TOKENS_AT_ONCE = 16384


def splits_of(sizes: tf.Tensor) -> tf.Tensor:
    """Where rows of so many values begin and end, int32 `[rows + 1]`."""
    return tf.concat([[0], tf.cumsum(sizes)], axis=0)


def rows_of_spans(
    values: tf.Tensor,
    starts: Sequence[tf.Tensor],
    sizes: Sequence[tf.Tensor],
    first_lengths: tf.Tensor,
) -> Features:
    """Features of rows, each made of one span of each kind, one behind the other.

    Args:
        values: token ids, int32.
        starts, sizes: for each kind of span, int32 `[rows]`, where it is in `values`.
        first_lengths: int32 `[rows]`, how many tokens belong to segment 0.
    """
    starts, sizes = tf.stack(starts, axis=1), tf.stack(sizes, axis=1)
    flat_starts = tf.reshape(starts, [-1])
    spans = tf.raw_ops.RaggedRange(
        starts=flat_starts,
        limits=flat_starts + tf.reshape(sizes, [-1]),
        deltas=1,
        Tsplits=tf.int32,
    )
    token_ids = tf.gather(values, spans.rt_dense_values)
    lengths = tf.reduce_sum(sizes, axis=1)
    # One position even without a row, for models need one.
    token_ids, real = as_matrix(token_ids, splits_of(lengths), 0, least=1)
    columns = tf.range(tf.shape(token_ids)[1])
    return {
        "token_ids": token_ids,
        "segment_ids": tf.cast(real & (columns >= first_lengths[:, None]), tf.int32),
        "padding_mask": tf.cast(real, tf.int32),
    }


def as_matrix(
    values: tf.Tensor, splits: tf.Tensor, padding: Any, least: int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Values of all rows on end, `[values, …]`, as a matrix `[rows, columns, …]`, and which of
    its places are real, bool `[rows, columns]`; it has `least` columns or more."""
    lengths = splits[1:] - splits[:-1]
    columns = tf.range(tf.maximum(tf.reduce_max(tf.concat([[0], lengths], axis=0)), least))
    real = columns < lengths[:, None]
    filler = tf.fill(tf.concat([[1], tf.shape(values)[1:]], axis=0), tf.cast(padding, values.dtype))
    places = tf.where(real, splits[:-1, None] + columns, tf.shape(values)[0])
    return tf.gather(tf.concat([values, filler], axis=0), places), real


def token_outputs(task: Any, features: Features, size: int) -> tf.Tensor:
    """What a model says of every token, float32 `[rows, length, size]`, some rows at a time."""
    rows, length = tf.unstack(tf.shape(features["token_ids"]))
    at_once = tf.maximum(_TOKENS_AT_ONCE // length, 1)
    # Once even without a row, for an empty list cannot be joined.
    steps = tf.maximum(-(-rows // at_once), 1)

    def body(step: tf.Tensor, parts: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        part = slice(step * at_once, (step + 1) * at_once)
        outputs = task({name: value[part] for name, value in features.items()}, training=False)
        return step + 1, parts.write(step, outputs)

    parts = tf.TensorArray(
        tf.float32, size=steps, element_shape=[None, None, size], infer_shape=False
    )
    _, parts = tf.while_loop(lambda step, _: step < steps, body, (0, parts), parallel_iterations=1)
    return parts.concat()
