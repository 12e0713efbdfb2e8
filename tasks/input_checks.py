"""Checks of what a Keras user passes: an error names the argument, the index and the value."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bert_keras.errors import UserError

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def shown(value: Any) -> str:
    """Returns a value as a message shows it: on one line, and short."""
    if isinstance(value, np.generic):
        value = value.item()
    return " ".join(_REPR.repr(value).split())


def kind_of(value: Any) -> str:
    """Returns a value's type as a message names it."""
    name = type(value.item() if isinstance(value, np.generic) else value).__name__
    return f"an {name}" if name[0] in "aeiouAEIO" else f"a {name}"


def place(values: Any, name: str, index: int) -> str:
    """Returns how a user writes the element at a position: `x[3]`, of a Series `x.iloc[3]`."""
    return f"{name}.iloc[{index}]" if hasattr(values, "iloc") else f"{name}[{index}]"


def unexpected(values: Any, name: str, index: int, value: Any, expected: str) -> UserError:
    """Returns the error of an element that is not what is expected."""
    missing = ", a missing value" if is_missing(value) else f", {kind_of(value)}"
    return UserError(
        f"{place(values, name, index)} is {shown(value)}{missing}; expected {expected}"
    )


def is_missing(value: Any) -> bool:
    """Returns whether a value stands for none: None, NaN, or pandas' NA and NaT."""
    # pandas is not imported here: its NA can neither be compared nor be told by isinstance.
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, (float, np.floating)) and math.isnan(value))
    )


def table_columns(x: Any) -> dict[Any, Any] | None:
    """Returns the columns of a DataFrame, an Arrow table or a `datasets.Dataset` by their names.

    None for anything else. What is a table is told by its attributes.

    Raises:
        UserError: two columns have one name.
    """
    names = getattr(x, "columns", None) if hasattr(x, "dtypes") else None
    if names is None:
        names = getattr(x, "column_names", None)
    if names is None or isinstance(names, Mapping) or callable(names):
        return None
    columns = {name: x[name] for name in list(names)}
    if len(columns) < len(names):
        raise UserError(f"the columns {shown(list(names))} have a name twice")
    return columns


def example_column(columns: Mapping[Any, Any]) -> str:
    """Returns how a user writes one column of a table: the first that holds strings, if any."""
    texts = (name for name, values in columns.items() if isinstance(next(iter(values), 0), str))
    return f"df[{next(texts, next(iter(columns), 'text'))!r}]"


def elements(values: Any, name: str, expected: str) -> Iterable[Any]:
    """Returns the elements of a list, a one-dimensional array or tensor, a Series or an iterator.

    A single string is one element.

    Raises:
        UserError: it is none of these.
    """
    if isinstance(values, (str, bytes)):
        return [values]
    columns = table_columns(values)
    if columns is not None:
        raise UserError(
            f"{name} is {kind_of(values)} with the columns {shown(list(columns))}; expected "
            f"{expected}: pass one column, such as {example_column(columns)}"
        )
    refused = isinstance(values, (Mapping, set, frozenset, tf.data.Dataset))
    if refused or not isinstance(values, Iterable) or tf.is_symbolic_tensor(values):
        raise UserError(f"{name} is {shown(values)}, {kind_of(values)}; expected {expected}")
    if isinstance(values, tf.RaggedTensor):
        return list(values.to_list())
    if isinstance(values, (np.ndarray, tf.Tensor, tf.Variable)):
        array = np.asarray(values)
        if array.ndim > 1:
            raise UserError(
                f"{name} has the shape {array.shape}; expected {expected}, in one dimension"
            )
        return [array.item()] if array.ndim == 0 else array.tolist()
    # Series, and the columns of Arrow tables: much faster than iterating them.
    for method in ("tolist", "to_pylist"):
        if hasattr(values, method):
            return list(getattr(values, method)())
    return values


def strings(values: Any, name: str, expected: str = "a string") -> list[str]:
    """Returns texts as a list of Python strings; bytes are UTF-8, of which invalid ones are left
    out.

    Raises:
        UserError: they are not in a list, an array, a tensor, a Series or an iterator, or one
            of them is not a string.
    """
    found: list[str] = []
    for index, value in enumerate(elements(values, name, "a list of strings")):
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="ignore")
        if not isinstance(value, str):
            if isinstance(value, (tuple, list, np.ndarray)) and expected == "a string":
                expected = "a string (pairs are a tuple (texts, second texts))"
            raise unexpected(values, name, index, value, expected)
        found.append(str(value))
    return found


def string_lists(values: Any, name: str, what: str) -> list[list[str]]:
    """Returns lists of strings, such as the words of each sentence.

    Raises:
        UserError: an element is not a list, an array, … of strings.
    """
    found = []
    for index, row in enumerate(elements(values, name, f"lists of {what}")):
        if isinstance(row, (str, bytes)) or not isinstance(row, Iterable):
            raise unexpected(values, name, index, row, f"a list of {what}")
        found.append(
            strings(row, place(values, name, index), expected=f"a string, one of the {what}")
        )
    return found


def only_column(values: Any) -> Any:
    """Returns the one column of a table that has no others; anything else as it is."""
    columns = table_columns(values)
    return next(iter(columns.values())) if columns is not None and len(columns) == 1 else values


def column(values: Any) -> Any:
    """Returns single values: of a table with one column, or of rows `[N, 1]` of one value."""
    values = only_column(values)
    if isinstance(values, (np.ndarray, tf.Tensor)) and len(values.shape) == 2:
        array = np.asarray(values)
        return array[:, 0] if array.shape[1] == 1 else values
    if isinstance(values, (list, tuple)) and values:
        if all(isinstance(row, (list, tuple)) and len(row) == 1 for row in values):
            return [row[0] for row in values]
    return values


def as_float(value: Any) -> float | None:
    """Returns a Python or NumPy number or boolean as a float; None where it is none."""
    if isinstance(value, (np.ndarray, tf.Tensor)) and len(value.shape) == 0:
        value = np.asarray(value).item()
    if isinstance(value, (numbers.Real, np.bool_, np.number)):
        return float(value)  # type: ignore[arg-type]
    return None


def whole_number(value: Any) -> int | None:
    """Returns a whole number, of any type, as an int; None for fractions, NaN and other values."""
    if type(value) is int:
        return value
    number = as_float(value)
    return int(number) if number is not None and number.is_integer() else None


def finite_numbers(
    values: Any, name: str, expected: str = "a finite number", least: float = -math.inf
) -> list[float]:
    """Returns numbers as a list of floats.

    Raises:
        UserError: one is not a number, not finite, or below `least`.
    """
    values = column(values)
    found: list[float] = []
    for index, value in enumerate(elements(values, name, "a list of numbers")):
        number = as_float(value)
        if number is None or not math.isfinite(number) or number < least:
            raise unexpected(values, name, index, value, expected)
        found.append(number)
    return found


def check_count(found: int, name: str, count: int, of: str) -> None:
    """Raises a UserError unless there are as many values as examples."""
    if found != count:
        raise UserError(f"{name} has {found} values; expected {count}, one for each of {of}")


def example_weights(weights: Any, name: str, count: int, of: str) -> np.ndarray | None:
    """Returns the weights of examples, float32 `[N]`; None where there are none.

    Raises:
        UserError: there are more or fewer than examples, or one is negative or not finite.
    """
    if weights is None:
        return None
    found = finite_numbers(weights, name, "a finite weight of at least 0", 0.0)
    check_count(len(found), name, count, of)
    return np.asarray(found, np.float32)


def batch_size(value: Any, name: str = "batch_size") -> int | None:
    """Returns a batch size.

    Raises:
        UserError: it is neither None nor a whole number of at least 1.
    """
    if value is None:
        return None
    number = None if isinstance(value, bool) else whole_number(value)
    if number is None or number < 1:
        raise UserError(f"{name} is {shown(value)}; expected a whole number of at least 1")
    return number


def one_kind(values: Sequence[Any], given: Any, name: str) -> None:
    """Raises a UserError where strings and numbers are mixed."""
    for index, value in enumerate(values):
        if isinstance(value, str) != isinstance(values[0], str):
            expected = "a string" if isinstance(values[0], str) else "a number"
            raise unexpected(
                given, name, index, value, f"{expected}, as {place(given, name, 0)} is"
            )
