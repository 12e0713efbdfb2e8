"""Zeros and ones, a column for each label, as a user passes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tasks import input_checks
from bert_keras.tasks.label_lookup import Label

_EXPECTED = "0 or 1, in a column for each label"


def column_labels(y: Any, name: str) -> list[Label]:
    """Returns what the columns stand for where a model has no labels yet.

    These are the names of a DataFrame's columns if they are strings, and else their numbers.

    Raises:
        UserError: `y` is not a matrix.
    """
    names = _column_names(y)
    return list(names) if names is not None else list(range(_rows(y, name).shape[1]))


def zeros_and_ones(y: Any, labels: Sequence[Label], name: str) -> np.ndarray:
    """Returns a matrix of zeros and ones, float32 `[N, labels]`.

    Args:
        y: a list of rows, an array, a tensor or a DataFrame. Columns of a DataFrame that have
            names are taken in the order of the labels.
        labels: the model's labels.
        name: the argument.

    Raises:
        UserError: a value is neither 0 nor 1, or the columns are not the labels'.
    """
    names = _column_names(y)
    matrix = _rows(y, name)
    expected = ", ".join(map(str, labels))
    if matrix.shape[1] != len(labels):
        raise UserError(
            f"{name} has {matrix.shape[1]} columns; expected {len(labels)}, one for each of "
            f"{expected}"
        )
    if names is None:
        return matrix
    written = [str(label) for label in labels]
    if sorted(names) != sorted(written):
        raise UserError(f"{name} has the columns {input_checks.shown(names)}; expected {expected}")
    return matrix[:, [names.index(label) for label in written]]


def _column_names(y: Any) -> list[str] | None:
    columns = list(input_checks.table_columns(y) or ())
    return columns if columns and all(isinstance(name, str) for name in columns) else None


def _rows(y: Any, name: str) -> np.ndarray:
    """Returns the checked matrix, float32."""
    if input_checks.table_columns(y) is not None:
        y = list(y.itertuples(index=False)) if hasattr(y, "itertuples") else np.asarray(y)
    if isinstance(y, (np.ndarray, tf.Tensor)):
        if len(y.shape) != 2:
            raise UserError(f"{name} has the shape {tuple(y.shape)}; expected [N, labels]")
        y = list(np.asarray(y))
    found: list[list[float]] = []
    for index, row in enumerate(input_checks.elements(y, name, "rows of zeros and ones")):
        where = input_checks.place(y, name, index)
        if isinstance(row, (str, bytes)) or not isinstance(row, Iterable):
            raise input_checks.unexpected(y, name, index, row, f"a row of {_EXPECTED}")
        values = list(input_checks.elements(row, where, f"a row of {_EXPECTED}"))
        for column, value in enumerate(values):
            if input_checks.as_float(value) not in (0.0, 1.0):
                raise input_checks.unexpected(row, where, column, value, _EXPECTED)
        if found and len(values) != len(found[0]):
            raise UserError(
                f"{where} has {len(values)} values; expected {len(found[0])}, as {name}[0]"
            )
        found.append([float(value) for value in values])
    return np.asarray(found, np.float32).reshape(len(found), -1 if found else 0)
