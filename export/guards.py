"""Checks of a request's shapes inside the graph, where TensorFlow Serving makes none.

Its optimizer removes assertions: only operations whose results are used can refuse a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

Outputs = dict[str, tf.Tensor]
Signatures = dict[str, Callable[..., Outputs]]


def text_specs(names: Sequence[str]) -> list[tf.TensorSpec]:
    """The inputs of a signature that takes a column of strings `[batch]` for each name."""
    return [tf.TensorSpec([None], tf.string, name=name) for name in names]


def same_batch(*texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """The same strings, with an error in the graph unless each is `[batch]`, all of one size."""
    checked = [tf.ensure_shape(text, [None]) for text in texts]
    return tuple(tf.unstack(tf.stack(checked), num=len(checked)))


def of_examples(inputs: tf.Tensor, names: Sequence[str]) -> tuple[tf.Tensor, ...]:
    """The columns of strings `[batch]` in serialized tf.Examples `[batch]`."""
    columns = {name: tf.io.FixedLenFeature([], tf.string) for name in names}
    parsed = tf.io.parse_example(tf.ensure_shape(inputs, [None]), columns)
    return tuple(parsed[name] for name in names)
