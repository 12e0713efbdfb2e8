"""Labelled texts whose label is a number, or any number of labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bert_keras.data.examples import Examples, sorted_labels
from bert_keras.data.table_source import as_label_list, as_number
from bert_keras.data.tables import listed, shorten
from bert_keras.errors import UserError


@dataclasses.dataclass(frozen=True)
class ScoredExamples(Examples):
    """Texts, or pairs of texts, with a score each: `labels` are N finite numbers."""

    convert: ClassVar[Callable[[Any], Any]] = staticmethod(as_number)

    @staticmethod
    def finish(labels: list[Any]) -> list[Any]:
        return labels


@dataclasses.dataclass(frozen=True)
class MultiLabelExamples(Examples):
    """Texts, or pairs of texts, with any number of labels: `labels` are N lists of them."""

    convert: ClassVar[Callable[[Any], Any]] = staticmethod(as_label_list)
    label_name: ClassVar[str] = "labels"

    @staticmethod
    def finish(labels: list[Any]) -> list[Any]:
        return labels

    def label_set(self) -> list[str]:
        """The distinct labels, sorted; as numbers where every one is a whole number.

        Raises:
            UserError: fewer than two labels occur.
        """
        distinct = {label for labels in self.labels or () for label in labels}
        if len(distinct) < 2:
            raise UserError(
                f"{self.source}: received {listed(sorted(distinct)) or 'no labels'} as the only "
                "label, expected at least two different ones"
            )
        return sorted_labels(distinct)

    def labels_at(self, row: int) -> list[str]:
        return [] if self.labels is None else list(self.labels[row])

    def multi_hot(self, labels: Sequence[str]) -> npt.NDArray[np.float32]:
        """Which of `labels` each example has, 1 or 0, `[N, labels]`.

        Raises:
            UserError: an example has a label that is not among them; names its file and line.
        """
        if self.labels is None:
            raise UserError(f"{self.source}: was read without labels")
        index = {label: position for position, label in enumerate(labels)}
        hot = np.zeros((len(self), len(labels)), np.float32)
        for row, own in enumerate(self.labels):
            for label in own:
                if label not in index:
                    raise UserError(
                        f"{self.where(row)}: unknown label {shorten(label)!r}, expected some of "
                        f"{listed(labels)}"
                    )
                hot[row, index[label]] = 1.0
        return hot
