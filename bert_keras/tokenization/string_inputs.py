"""Strings as they come from Python, NumPy or TensorFlow, as string tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from bert_keras.errors import UserError

Strings: TypeAlias = str | bytes | Sequence[str] | Sequence[bytes] | np.ndarray | tf.Tensor

# Stands for a lone surrogate of a Python string, which has no UTF-8: a letter as well,
# one character, and in no vocabulary.
_SURROGATE = "\ue000"


def string_vector(texts: Any, what: str) -> tf.Tensor:
    """Returns strings, or a single one, as a string vector.

    Raises:
        UserError: it is not strings of rank 1; the message begins with `what`.
    """
    if isinstance(texts, tf.Variable):
        texts = tf.convert_to_tensor(texts)
    if not tf.is_tensor(texts):
        texts = _constant([texts] if isinstance(texts, (str, bytes)) else texts, what)
    if not isinstance(texts, tf.Tensor) or texts.dtype != tf.string:
        kind = getattr(texts, "dtype", None)
        kind = kind.name if kind is not None else type(texts).__name__
        raise UserError(f"{what}: a {type(texts).__name__} of {kind}; expected strings")
    rank = texts.shape.rank
    if rank == 0:
        return tf.reshape(texts, [1])
    if rank not in (1, None):
        raise UserError(f"{what}: shape {texts.shape}; expected a vector of strings")
    return tf.ensure_shape(texts, [None]) if rank is None else texts


def _constant(texts: Any, what: str) -> tf.Tensor:
    """A Python sequence or array of strings as a tensor."""
    rows = texts.tolist() if isinstance(texts, np.ndarray) else texts
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        rows = [rows]
    rows = list(rows)
    for index, row in enumerate(rows):
        if not isinstance(row, (str, bytes)):
            raise UserError(
                f"{what}: row {index} is {row!r}, a {type(row).__name__}; expected a string"
            )
    try:
        return tf.constant(rows, tf.string)
    except ValueError:
        clean = [_without_surrogates(row) if isinstance(row, str) else row for row in rows]
        return tf.constant(clean, tf.string)


def _without_surrogates(text: str) -> str:
    return "".join(_SURROGATE if "\ud800" <= char <= "\udfff" else char for char in text)


def check_counts(texts: tf.Tensor, pairs_: tf.Tensor) -> None:
    if not texts.shape.is_compatible_with(pairs_.shape):
        raise UserError(
            f"pairs: {pairs_.shape[0]} strings for {texts.shape[0]} texts; expected as many"
        )
