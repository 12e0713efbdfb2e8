"""Examples of several tokenized rows each: a question with its choices, an anchor with texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bert_keras.data.batches import Ints
from bert_keras.data.encoded import EncodedExamples
from bert_keras.data.training_examples import FEATURES


def group_splits(sizes: Sequence[int]) -> Ints:
    """Where the rows of each group begin and end, `[N + 1]`, from the groups' sizes."""
    return np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))]).astype(np.int64)


def padded_groups(rows: npt.NDArray[Any], splits: Ints, fill: float) -> npt.NDArray[Any]:
    """Values of rows, `[R]`, as `[N, largest group]` with `fill` where a group has no row."""
    sizes = np.diff(splits)
    there = np.arange(max(sizes, default=0)) < sizes[:, None]
    values = np.full(there.shape, fill, rows.dtype)
    values[there] = rows
    return values


@dataclasses.dataclass(frozen=True)
class GroupedExamples:
    """N examples with one row or more each, for batches of features `[batch, group, length]`.

    Attributes:
        inputs: the rows of all examples, one example after the other.
        splits: int64 `[N + 1]`, where the rows of each example begin and end.
        labels: `[N, …]`, as the task's loss takes them.
    """

    inputs: EncodedExamples
    splits: Ints
    labels: npt.NDArray[Any]

    @property
    def lengths(self) -> Ints:
        """Tokens of each example when its rows are padded to the longest of them, `[N]`."""
        longest = np.maximum.reduceat(self.inputs.lengths, self.splits[:-1])
        return longest * np.diff(self.splits)

    def _rows(self, indices: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """The rows of the groups at `indices`, and where in `[batch, group]` each belongs."""
        starts = self.splits[indices]
        sizes = self.splits[np.asarray(indices) + 1] - starts
        columns = np.arange(max(sizes, default=1))
        there = columns < sizes[:, None]
        return (starts[:, None] + columns)[there], there

    def shape(self, indices: Ints, rounded: bool = False) -> tuple[int, ...]:
        rows, there = self._rows(indices)
        return *there.shape, self.inputs.shape(rows, rounded)[1]

    def batch(
        self, indices: Ints, rounded: bool = False
    ) -> tuple[dict[str, npt.NDArray[np.int32]], Any]:
        """Features int32 `[batch, group, length]` and labels.

        A row that a smaller group lacks is all padding.
        """
        own, there = self._rows(indices)
        rows = self.inputs.batch(own, rounded)
        features = {}
        for name, values in rows.items():
            features[name] = np.zeros((*there.shape, values.shape[1]), np.int32)
            features[name][there] = values
        return features, self.labels[indices]

    def spec(self) -> Any:
        tokens = tf.TensorSpec([None, None, None], tf.int32)
        labels = tf.TensorSpec([None, *self.labels.shape[1:]], self.labels.dtype)
        return {name: tokens for name in FEATURES}, labels
