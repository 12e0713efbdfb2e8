"""Checks of a dataset's labels and weights, in its graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bert_keras.errors import UserError


def checked(result: tf.Tensor, valid: tf.Tensor, values: Any, message: str) -> tf.Tensor:
    """Returns `result`, where all of `values` are valid.

    Args:
        result: any tensor.
        valid: bool, of the shape of `values`.
        values: what was received, for the message.
        message: what is wrong and what is expected.

    Raises:
        tf.errors.InvalidArgumentError: one is not; names the first and its position.
    """
    values = tf.convert_to_tensor(values)
    # A sentinel keeps argmin defined for an empty batch.
    flags = tf.concat([tf.cast(tf.reshape(valid, [-1]), tf.int32), [1]], 0)
    first = tf.argmin(flags)
    text = values if values.dtype == tf.string else tf.strings.as_string(values)
    text = tf.concat([tf.reshape(text, [-1]), [""]], 0)
    said = tf.strings.join(
        [message, ": received ", text[first], " at position ", tf.strings.as_string(first)]
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(valid), [said])]):
        return tf.identity(result)


def whole_numbers(values: Any, message: str) -> tf.Tensor:
    """Returns numbers or booleans as int64; fractions, NaN and infinities are errors."""
    values = _numbers(values, message)
    if not values.dtype.is_floating:
        return tf.cast(values, tf.int64)
    valid = tf.math.is_finite(values) & (values == tf.round(values))
    return checked(tf.cast(values, tf.int64), valid, values, message)


def finite(values: Any, what: str) -> tf.Tensor:
    """Returns numbers as float32; NaN and infinities are errors."""
    message = f"a {what} is not a finite number"
    values = _numbers(values, message)
    floats = tf.cast(values, tf.float32)
    return checked(floats, tf.math.is_finite(floats), values, message)


def _numbers(values: Any, message: str) -> tf.Tensor:
    """Returns a tensor of numbers or booleans, of an array or a list too."""
    values = tf.convert_to_tensor(values)
    dtype = values.dtype
    if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        raise UserError(f"{message}: received {dtype.name}s of shape {values.shape}")
    return values


def weights(values: Any) -> tf.Tensor:
    """Returns the weights of examples; negative ones, NaN and infinities are errors."""
    floats = finite(values, "sample weight")
    return checked(floats, floats >= 0, values, "a sample weight is below 0")
