"""Features of several rows an example, `[batch, group, length]`, and the rows of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from bert_keras.data.batches import Ints
from bert_keras.data.grouped_examples import GroupedExamples
from bert_keras.data.source import TaskExamples
from bert_keras.data.training_examples import FEATURES
from bert_keras.tasks.answering import Prepared

# The columns of an example by name, in the order in which they are read.
_NAMES = (
    ("text",),
    ("text", "text_pair"),
    ("anchor", "positive"),
    ("anchor", "positive", "negative"),
    ("context", "choices"),
)


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
    """Columns of texts: those of a tuple, or of a dict by their names; anything else is one.

    Raises:
        ValueError: a dict has other names.
    """
    if isinstance(x, Mapping):
        names = next((names for names in _NAMES if set(names) == set(x)), None)
        if names is None:
            raise ValueError(f"expected one of {_NAMES} as keys, received {sorted(x)}")
        return tuple(x[name] for name in names)
    return x if isinstance(x, tuple) else (x,)


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

    @classmethod
    def text_arrays(cls, x: Any) -> tuple[Any, ...]:
        """Arrays of strings, `[N]` or `[N, group]`, of what is neither a dataset nor features."""
        return text_columns(x)

    def _feature_dataset(
        self, x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: bool
    ) -> tf.data.Dataset:
        if isinstance(x, tf.data.Dataset):
            if all(leaf.dtype == tf.string for leaf in tf.nest.flatten(x.element_spec)):
                # Without labels: Keras would take the second column for them.
                x = x.map(lambda *columns: (columns if len(columns) > 1 else columns[0],))
        elif not isinstance(x, TaskExamples) and not has_token_ids(x):
            parts = [np.asarray(part) for part in (y, sample_weight) if part is not None]
            x = tf.data.Dataset.from_tensor_slices((self.text_arrays(x), *parts))
            if shuffle:
                x = x.shuffle(int(x.cardinality()), seed=self.seed)
            x, y, sample_weight = x.batch(batch_size or 32), None, None
        dataset: tf.data.Dataset = super()._feature_dataset(  # type: ignore[misc]
            x, y, sample_weight, batch_size, shuffle
        )
        return dataset


def has_token_ids(x: Any) -> bool:
    """Whether `x` is features."""
    return isinstance(x, Mapping) and "token_ids" in x
