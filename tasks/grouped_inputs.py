"""Features of several rows an example, `[batch, group, length]`, and the rows of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf
from keras import ops

from bert_keras.data.batches import Ints
from bert_keras.data.grouped_examples import GroupedExamples
from bert_keras.data.source import TaskExamples
from bert_keras.data.training_examples import FEATURES
from bert_keras.errors import UserError
from bert_keras.tasks import input_checks
from bert_keras.tasks.answering import Prepared
from bert_keras.tasks.arrow_inputs import as_examples
from bert_keras.tasks.input_checks import shown, table_columns
from bert_keras.tasks.inputs import check_labels_spec, gather, has_features

Kinds = tuple[tuple[str, ...], ...]


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


def text_columns(x: Any, kinds: Kinds, name: str = "x") -> tuple[Any, ...]:
    """Returns the columns of an example: of a tuple, or of a dict or a DataFrame by their names.

    Anything else is one column.

    Args:
        x: columns, or their specifications in a dataset.
        kinds: the names of the columns, of each kind of example.
        name: the argument.

    Raises:
        UserError: the names or the number of columns are those of no kind.
    """
    columns = x if isinstance(x, Mapping) else table_columns(x)
    expected = " or ".join(f"({', '.join(names)})" for names in kinds)
    if columns is None:
        found = x if isinstance(x, tuple) else (x,)
        if len(found) not in map(len, kinds) or (len(found) > 1 and isinstance(found[0], str)):
            raise UserError(f"{name} has {len(found)} columns of texts; expected {expected}")
        return found
    names = next((names for names in kinds if set(names) == set(columns)), None)
    if names is None and columns is not x and len(columns) == 1 and 1 in map(len, kinds):
        return tuple(columns.values())
    if names is None:
        what = "keys" if columns is x else "columns"
        raise UserError(f"{name} has the {what} {shown(list(columns))}; expected {expected}")
    return tuple(columns[column] for column in names)


def column_names(x: Any, kinds: Kinds, name: str) -> list[str]:
    """Returns how a user writes each column that `text_columns` gives."""
    count = len(text_columns(x, kinds, name))
    if isinstance(x, tuple):
        return [f"{name}[{column}]" for column in range(count)]
    columns = x if isinstance(x, Mapping) else table_columns(x)
    if columns is None:
        return [name]
    names = next((names for names in kinds if set(names) == set(columns)), tuple(columns))
    return [f"{name}[{column!r}]" for column in names]


def column_dataset(x: tf.data.Dataset, kinds: Kinds, name: str) -> tf.data.Dataset:
    """Returns a dataset of columns of texts with tuples (columns, …), labels and weights last.

    A tuple whose first part is a tuple or a dict is (x, y, sample_weight), as in Keras. Else its
    parts that are strings are columns, and what follows are labels and weights.

    Raises:
        UserError: its elements are something else.
    """
    spec = x.element_spec
    if not isinstance(spec, tuple):
        x = x.map(lambda element: (element,))
    elif not isinstance(spec[0], (tuple, Mapping)):
        strings = [part.dtype == tf.string for part in spec]
        count = strings.index(False) if False in strings else len(strings)
        x = x.map(lambda *parts: (parts[:count], *parts[count:]))
    inputs, *rest = x.element_spec
    if len(rest) > 2:
        raise UserError(
            f"{name} yields {len(rest)} parts after its texts; expected labels, weights"
        )
    check_labels_spec(rest, name)
    if not has_features(inputs):
        for column in text_columns(inputs, kinds, f"an element of {name}"):
            if getattr(column, "dtype", None) != tf.string:
                raise UserError(f"{name} yields {shown(column)} as texts; expected strings")
    return x


@dataclasses.dataclass(frozen=True)
class PreparedGroups(Prepared):
    """`inputs` has several rows an example; `splits`, int64 `[N + 1]`, says where each begins."""

    splits: Ints


class GroupedInputs:
    """A part of a `FineTunedTask` whose examples are several rows each, a `PreparedGroups`.

    `fit` and `evaluate` take columns of texts, an example a row.
    """

    seed: int

    def training_examples(self, prepared: Prepared) -> GroupedExamples:
        assert isinstance(prepared, PreparedGroups)
        return GroupedExamples(prepared.inputs, prepared.splits, prepared.gold)

    kinds: ClassVar[Kinds]

    @classmethod
    def text_arrays(cls, x: Any, name: str = "x") -> tuple[Any, ...]:
        """Returns lists of strings, `[N]` or `[N, group]`, of neither a dataset nor features."""
        names = column_names(x, cls.kinds, name)
        columns = zip(text_columns(x, cls.kinds, name), names, strict=True)
        found = tuple(input_checks.strings(column, where) for column, where in columns)
        for column, where in zip(found, names, strict=True):
            input_checks.check_count(len(column), where, len(found[0]), names[0])
        return found

    @classmethod
    def columns_of(cls, x: Any) -> Any:
        """Returns the columns of what `predict` is given, those of a dataset as lists."""
        return gather(column_dataset(x, cls.kinds, "x")) if isinstance(x, tf.data.Dataset) else x

    def inputs_of(self, x: Any, name: str) -> Any:
        """As `FineTunedTask.inputs_of`; texts are a tuple of columns."""
        task: Any = self
        x = as_examples(task, x, labelled=True)
        if isinstance(x, tf.data.Dataset):
            return column_dataset(x, self.kinds, name)
        if isinstance(x, TaskExamples) or has_features(x):
            return x
        return self.text_arrays(x, name)
