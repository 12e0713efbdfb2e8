"""Class labels as a user passes them: which of a model's labels each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.errors import UserError
from bert_keras.tasks import graph_checks, input_checks
from bert_keras.tasks.inputs import is_text

Label = str | int

_ONE_HOT = "class labels or indices; one-hot rows are indices by np.argmax(y, axis=1)"


def numbers_are_names(labels: Sequence[Label]) -> bool:
    """Returns whether numbers are looked up among the labels, and are not their indices.

    They are where every label is written as a whole number: of the labels "1", "2" and "3", the
    number 1 is the first.
    """
    return all(str(label).removeprefix("-").isdecimal() for label in labels)


def boolean_indices(labels: Sequence[Label]) -> tuple[int, int] | None:
    """Returns the indices of False and True where these are the labels' names, else None."""
    names = [str(label).lower() for label in labels]
    if sorted(names) != ["false", "true"]:
        return None
    return names.index("false"), names.index("true")


def _names(labels: Sequence[Label]) -> dict[str, int]:
    """Returns the index of each label by how it is written.

    Classes without names, LABEL_0, LABEL_1 and so on, are written as their numbers too.
    """
    written = [str(label) for label in labels]
    numbers = enumerate(written) if checkpoints.are_default(written) else ()
    extra = {str(index): index for index, _ in numbers}
    return {**extra, **{name: index for index, name in enumerate(written)}}


def _expected(labels: Sequence[Label]) -> str:
    names = ", ".join(map(str, labels[:10])) + (", …" if len(labels) > 10 else "")
    if numbers_are_names(labels):
        return f"one of {names}"
    return f"one of {names}, or an index from 0 to {len(labels) - 1}"


def label_values(values: Any, name: str) -> list[Label]:
    """Returns class labels as strings or as whole numbers.

    Args:
        values: N labels in any form; booleans are 0 and 1.
        name: the argument.

    Raises:
        UserError: one is neither, or both occur.
    """
    values = input_checks.column(values)
    found: list[Label] = []
    for index, value in enumerate(_labels(values, name)):
        label = value if isinstance(value, str) else input_checks.whole_number(value)
        if label is None:
            raise input_checks.unexpected(
                values, name, index, value, "a string or a whole number as the label"
            )
        found.append(label)
    input_checks.one_kind(found, values, name)
    return found


def known_labels(values: Any, labels: Sequence[Label], name: str) -> list[Label]:
    """Returns each example's label as it is among a model's labels.

    Args:
        values: N labels in any form: names, indices (see `numbers_are_names`) or booleans.
        labels: the model's labels.
        name: the argument.

    Raises:
        UserError: one is none of the labels.
    """
    values = input_checks.column(values)
    indices = _names(labels)
    by_name, booleans = numbers_are_names(labels), boolean_indices(labels)
    given = list(_labels(values, name))
    found = []
    for position, value in enumerate(given):
        if isinstance(value, str):
            index = indices.get(value)
        elif booleans is not None and isinstance(value, (bool, np.bool_)):
            index = booleans[int(value)]
        else:
            index = input_checks.whole_number(value)
            if index is not None and by_name:
                index = indices.get(str(index))
        if index is None or not 0 <= index < len(labels):
            raise input_checks.unexpected(values, name, position, value, _expected(labels))
        found.append(labels[index])
    input_checks.one_kind(given, values, name)
    return found


def _labels(values: Any, name: str) -> list[Any]:
    """Returns the elements, bytes as strings; a UserError where they are rows."""
    shape = getattr(values, "shape", None)
    if shape is not None and len(shape) > 1:
        raise UserError(f"{name} has the shape {tuple(shape)}; expected {_ONE_HOT}")
    found = []
    for index, value in enumerate(input_checks.elements(values, name, "a list of labels")):
        if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value):
            raise input_checks.unexpected(values, name, index, value, _ONE_HOT)
        found.append(value.decode("utf-8") if isinstance(value, bytes) else value)
    return found


def dataset_labels(x: tf.data.Dataset) -> np.ndarray:
    """Returns all labels of a dataset of tuples (x, y, …), `[N]`.

    Raises:
        UserError: the dataset has no end.
    """
    if int(x.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise UserError("the dataset has no end, so its labels cannot be listed: give labels=")
    batches = [np.ravel(element[1]) for element in x.as_numpy_iterator()]
    return np.concatenate(batches) if batches else np.zeros(0, np.int32)


def check_label_shape(spec: Any, name: str) -> None:
    """Raises a UserError where a dataset of texts has more than one label for each text.

    `spec` is that of tuples (texts, labels, …). One column, `[batch, 1]`, is as good as none.
    """
    if len(spec) < 2 or not is_text(spec[0]):
        return
    text, labels = tf.nest.flatten(spec[0])[0].shape, spec[1].shape
    if text.rank is None or labels.rank is None:
        return
    if any(size != 1 for size in labels[text.rank :]):
        raise UserError(
            f"{name} yields labels of shape {labels}; expected [batch], one "
            "for each text; one-hot rows are class indices by tf.argmax(y, axis=-1)"
        )


def indices_in_graph(values: Any, labels: Sequence[Label]) -> tf.Tensor:
    """Returns the index of each label, int32, as `known_labels` finds it, in a graph.

    Raises:
        tf.errors.InvalidArgumentError: one is none of the labels; when the graph runs.
    """
    values = tf.convert_to_tensor(values)
    message = f"a label is not {_expected(labels)}"
    booleans = boolean_indices(labels)
    if values.dtype == tf.bool and booleans is not None:
        return tf.gather(tf.constant(booleans, tf.int32), tf.cast(values, tf.int32))
    if values.dtype != tf.string:
        whole = graph_checks.whole_numbers(values, message)
        if not numbers_are_names(labels):
            known = (whole >= 0) & (whole < len(labels))
            return graph_checks.checked(tf.cast(whole, tf.int32), known, values, message)
        matches = whole[..., None] == tf.constant([int(label) for label in labels], tf.int64)
    else:
        names = _names(labels)
        matches = values[..., None] == tf.constant(list(names))
        positions = tf.constant(list(names.values()), tf.int32)
        found = tf.gather(positions, tf.argmax(matches, axis=-1))
        return graph_checks.checked(found, tf.reduce_any(matches, axis=-1), values, message)
    indices = tf.argmax(matches, axis=-1, output_type=tf.int32)
    return graph_checks.checked(indices, tf.reduce_any(matches, axis=-1), values, message)
