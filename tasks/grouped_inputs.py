"""Features of several rows an example, `[batch, group, length]`, and the rows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from bert_keras.data.training_examples import FEATURES


def as_rows(features: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Features `[batch, group, length]` as `[batch · group, length]`, and (batch, group).

    Features of rank 2 are rows already; their group has no dimension: (batch,).
    """
    shape = ops.shape(features["token_ids"])
    if len(shape) == 2:
        return dict(features), shape[:1]
    return {
        name: ops.reshape(value, (-1, shape[-1])) if name in FEATURES else value
        for name, value in features.items()
    }, shape[:2]


def as_groups(features: Mapping[str, Any], group: Any) -> dict[str, Any]:
    """Features `[batch · group, length]` as `[batch, group, length]`."""
    return {
        name: tf.reshape(value, [-1, group, tf.shape(value)[-1]])
        for name, value in features.items()
    }


def text_columns(x: Any) -> tuple[Any, ...]:
    """Columns of texts: those of a tuple or of a dict, in its order, or `x` as the only one."""
    if isinstance(x, Mapping):
        return tuple(x.values())
    return x if isinstance(x, tuple) else (x,)


def group_dataset(
    columns: Sequence[Any],
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    shuffle_seed: int | None,
) -> tf.data.Dataset:
    """A dataset of batches from arrays of strings, `[N]` or `[N, group]`, a tuple of them.

    Labels and weights follow where there are any.
    """
    inputs = tuple(np.asarray(column, object) for column in columns)
    parts = tuple(np.asarray(part) for part in (y, sample_weight) if part is not None)
    inputs = tuple(tf.constant(column, tf.string) for column in inputs)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, *parts) if parts else (inputs,))
    if shuffle_seed is not None:
        dataset = dataset.shuffle(int(dataset.cardinality()), seed=shuffle_seed)
    return dataset.batch(batch_size or 32)
