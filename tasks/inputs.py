"""Texts and pairs of texts, in the forms that a Keras user passes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tasks.input_checks import (
    check_count,
    example_column,
    kind_of,
    place,
    shown,
    strings,
    table_columns,
)

_PAIRS = ("text", "text_pair")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NESTED = "pairs are nested, ((texts, second texts), labels), as a tuple is (x, y)"


class Names(NamedTuple):
    """What inputs, labels and weights are called in messages."""

    x: str = "x"
    y: str = "y"
    sample_weight: str = "sample_weight"


ARGUMENTS = Names()
VALIDATION = Names(*(f"validation_data[{index}]" for index in range(3)))


def split_texts(x: Any) -> tuple[Any, Any]:
    """Returns the texts and the second texts (or None) of `x`, in a graph or not.

    `x` is texts alone; a tuple of texts and second texts; or a dict with `text` and, for
    pairs, `text_pair`.

    Raises:
        UserError: a dict of other keys, or a tuple of another length than two.
    """
    return _split(x, "x")


def _split(x: Any, name: str) -> tuple[Any, Any]:
    columns = x if isinstance(x, Mapping) else table_columns(x)
    if columns is None:
        if isinstance(x, tuple) and (len(x) != 2 or isinstance(x[0], (str, bytes))):
            raise UserError(f"{name} is {shown(x)}; expected a list of texts, or a tuple of two")
        return x if isinstance(x, tuple) else (x, None)
    if columns is not x and len(columns) == 1:
        return next(iter(columns.values())), None
    if "text" not in columns or not set(columns) <= set(_PAIRS):
        what = "keys" if columns is x else "columns"
        hint = "features are for predict_on_features"
        if columns is not x:
            hint = f"pass one column, such as {example_column(columns)}"
        elif "token_ids" not in columns:
            hint = "labels are not among them: they are the second part of a tuple (x, y)"
        raise UserError(
            f"{name} has the {what} {shown(list(columns))}; expected text, or text and "
            f"text_pair ({hint})"
        )
    return columns["text"], columns.get("text_pair")


def text_lists(x: Any, name: str) -> list[str] | tuple[list[str], list[str]]:
    """Returns texts as a list of strings, pairs of texts as a tuple of two lists.

    Args:
        x: what `split_texts` takes, or a DataFrame with one column, or with `text` and
            `text_pair`. Columns are lists, arrays, tensors, Series or iterators of strings.
        name: the argument.

    Raises:
        UserError: `x` has another form, or a text is not a string; names the place and the value.
    """
    texts, pairs = _split(x, name)
    if pairs is None:
        columns = isinstance(x, Mapping)
        return strings(texts, f"{name}['text']" if columns else name)
    names = [f"{name}[{index}]" for index in range(2)]
    if not isinstance(x, tuple):
        names = [f"{name}[{column!r}]" for column in _PAIRS]
    firsts, seconds = strings(texts, names[0]), strings(pairs, names[1])
    check_count(len(seconds), names[1], len(firsts), f"{names[0]}")
    return firsts, seconds


def split_columns(x: Any, names: Sequence[str], name: str = "x") -> list[Any]:
    """Returns the columns of `x`.

    `x` is a dict or a DataFrame of columns by these names; a tuple of columns; or a list of
    tuples, one for each example.

    Raises:
        UserError: it has other columns.
    """
    expected = f"expected {' and '.join(names)}"
    columns = x if isinstance(x, Mapping) else table_columns(x)
    if columns is not None:
        if set(names) != set(columns):
            raise UserError(f"{name} has the columns {shown(list(columns))}; {expected}")
        return [columns[column] for column in names]
    if isinstance(x, tuple):
        if len(x) != len(names) or isinstance(x[0], (str, bytes)):
            raise UserError(f"{name} is {shown(x)}; {expected}, a tuple of {len(names)} lists")
        return list(x)
    if not isinstance(x, Sequence) or isinstance(x, (str, bytes)):
        raise UserError(f"{name} is {shown(x)}, {kind_of(x)}; {expected}, a tuple of lists")
    for index, row in enumerate(x):
        if not isinstance(row, (tuple, list)) or len(row) != len(names):
            where = place(x, name, index)
            raise UserError(f"{where} is {shown(row)}; expected a tuple ({', '.join(names)})")
    return [[row[part] for row in x] for part in range(len(names))]


def column_strings(x: Any, names: Sequence[str], name: str) -> list[list[str]]:
    """Returns the columns of `x`, see `split_columns`, as lists of strings of one length.

    Raises:
        UserError: it has other columns, or an element is not a string; names its place.
    """
    columns = split_columns(x, names, name)
    if isinstance(x, list):
        for index, row in enumerate(x):
            strings([*row], place(x, name, index))
    inside = [f"{name}[{part}]" for part in range(len(names))]
    if not isinstance(x, tuple):
        inside = [f"{name}[{column!r}]" for column in names]
    found = [strings(column, where) for column, where in zip(columns, inside, strict=True)]
    for column, where in zip(found, inside, strict=True):
        check_count(len(column), where, len(found[0]), inside[0])
    return found


def has_pairs(x: Any) -> bool:
    """Returns whether `x`, texts or their specification in a dataset, has second texts."""
    return isinstance(x, tuple) or (isinstance(x, Mapping) and x.get("text_pair") is not None)


def has_features(x: Any) -> bool:
    """Returns whether `x`, inputs or their specification in a dataset, is features, not texts."""
    return isinstance(x, Mapping) and "token_ids" in x


def is_text(spec: Any) -> bool:
    """Returns whether a dataset's element, or the first part of it, holds strings."""
    return any(leaf.dtype == tf.string for leaf in tf.nest.flatten(spec))


def count_of(x: Any) -> int:
    """Returns the number of examples in canonical texts, in columns or in features."""
    if isinstance(x, Mapping):
        return len(next(iter(x.values()), ()))
    return len(x[0]) if isinstance(x, tuple) else len(x)


# Datasets.


def parts_of(spec: Any) -> tuple[Any, ...]:
    """Returns the parts (x,), (x, y) or (x, y, sample_weight) of a dataset's element."""
    return spec if isinstance(spec, tuple) else (spec,)


def text_dataset(x: tf.data.Dataset, name: str) -> tf.data.Dataset:
    """Returns a dataset of texts or features with tuples (x,), (x, y) or (x, y, sample_weight).

    Raises:
        UserError: its elements are something else.
    """
    parts = parts_of(x.element_spec)
    if not 1 <= len(parts) <= 3:
        raise UserError(
            f"{name} yields {len(parts)} parts; expected (texts,), (texts, labels) or "
            f"(texts, labels, weights): {_NESTED}"
        )
    if not has_features(parts[0]):
        texts = _split(parts[0], f"an element of {name}")
        check_vectors([text for text in texts if text is not None], name)
    check_labels_spec(parts[1:], name)
    return x if isinstance(x.element_spec, tuple) else x.map(lambda element: (element,))


def check_vectors(columns: Sequence[Any], name: str) -> None:
    """Raises a UserError unless a dataset's columns are strings, single ones or vectors."""
    for spec in columns:
        if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.string:
            raise UserError(
                f"{name} yields {shown(spec)} as texts; expected strings, a dict with text and "
                "text_pair, or a dict of features"
            )
        if spec.shape.rank is not None and spec.shape.rank > 1:
            raise UserError(f"{name} yields texts of shape {spec.shape}; expected [batch]")


def check_labels_spec(rest: Sequence[Any], name: str) -> None:
    """Raises a UserError where labels or weights of a dataset are no single tensors."""
    for what, spec in zip(("labels", "weights"), rest, strict=False):
        if isinstance(spec, (tuple, Mapping)):
            raise UserError(f"{name} yields {kind_of(spec)} as {what}; expected one tensor")


def is_single(spec: Any) -> bool:
    """Returns whether the elements of a dataset are single examples, not batches."""
    return any(leaf.shape.rank == 0 for leaf in tf.nest.flatten(spec))


def gather(x: tf.data.Dataset) -> Any:
    """Returns the inputs of all examples of a dataset of tuples, in the form of its x.

    A list of bytes, or of lists or arrays of them, takes the place of each tensor.
    """
    spec = x.element_spec[0]
    leaves = tf.nest.flatten(spec)
    single = is_single(spec)
    if single and all(leaf.shape.is_fully_defined() for leaf in leaves):
        # A thousand examples at a time: the step from TensorFlow to Python is what costs.
        x, single = x.batch(1024), False
    columns: list[list[Any]] = [[] for _ in leaves]
    for element in x:
        for rows, leaf in zip(columns, tf.nest.flatten(element[0]), strict=True):
            value = leaf.to_list() if isinstance(leaf, tf.RaggedTensor) else leaf.numpy()
            rows.extend([value] if single else value)
    return tf.nest.pack_sequence_as(spec, columns)


def check_given(x: Any, y: Any, sample_weight: Any, names: Names, needs_labels: bool) -> None:
    """Raises a UserError where there is nothing to learn from, or labels are given twice.

    Args:
        x: texts, features or a dataset in the form of `BertTask.inputs_of`.
        y, sample_weight: as they were given.
        names: the arguments.
        needs_labels: whether there is no loss without labels.
    """
    where = f"{names.y} is None"
    labelled = y is not None
    empty = not isinstance(x, tf.data.Dataset) and count_of(x) == 0
    if isinstance(x, tf.data.Dataset):
        for name, value in ((names.y, y), (names.sample_weight, sample_weight)):
            if value is not None:
                raise UserError(f"{name}: {names.x} is a dataset, which holds its own")
        where = f"{names.x} yields no labels"
        labelled, empty = len(x.element_spec) > 1, int(x.cardinality()) == 0
    if empty:
        raise UserError(f"{names.x} is empty; expected at least one example")
    if needs_labels and not labelled:
        raise UserError(f"{where}; expected a label for each example of {names.x}")


def as_dataset(
    x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle_seed: int | None
) -> tf.data.Dataset:
    """Returns a dataset of batches.

    A dataset is taken as it is, and batched when its elements are single examples. Canonical
    texts and features are shuffled (with `shuffle_seed`, anew each epoch) and batched.
    """
    if isinstance(x, tf.data.Dataset):
        return x.batch(batch_size or 32) if is_single(x.element_spec) else x
    if has_features(x):
        inputs: Any = {name: np.asarray(value) for name, value in x.items()}
    else:
        inputs = tuple(map(_tensor, x)) if isinstance(x, tuple) else _tensor(x)
    parts = tuple(np.asarray(part) for part in (y, sample_weight) if part is not None)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, *parts))
    if shuffle_seed is not None:
        dataset = dataset.shuffle(int(dataset.cardinality()), seed=shuffle_seed)
    return dataset.batch(batch_size or 32)


def _tensor(texts: Any) -> Any:
    try:
        return tf.constant(texts, tf.string)
    except ValueError:
        # Lone surrogates have no UTF-8. The tokenizer puts the same character in their place.
        flat = [_SURROGATES.sub("\ue000", text) for text in np.ravel(texts).tolist()]
        return tf.reshape(tf.constant(flat, tf.string), np.shape(texts))
