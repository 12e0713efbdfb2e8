"""Tokenized examples with their labels: what batches of training data are cut from."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bert_keras.data.batches import Ints
from bert_keras.data.encoded import EncodedExamples

FEATURES = ("token_ids", "segment_ids", "padding_mask")


class TrainingExamples(Protocol):
    """N examples, in any form of which padded batches can be made."""

    @property
    def inputs(self) -> EncodedExamples:
        """The tokens of all examples."""

    @property
    def lengths(self) -> Ints:
        """What each example costs, in tokens, int64 `[N]`."""

    def shape(self, indices: Ints, rounded: bool = False) -> tuple[int, ...]:
        """The shape of the features that `batch` returns."""

    def batch(
        self, indices: Ints, rounded: bool = False
    ) -> tuple[dict[str, npt.NDArray[np.int32]], Any]:
        """Features and labels of the examples at `indices`, as the task's model takes them.

        For `rounded` see `EncodedExamples.batch`.
        """

    def spec(self) -> Any:
        """The `tf.TensorSpec`s of what `batch` returns, in the same structure."""


@dataclasses.dataclass(frozen=True)
class LabelledExamples:
    """Tokenized examples and their labels, `[N]` or `[N, …]`, as the task's loss takes them."""

    inputs: EncodedExamples
    labels: npt.NDArray[Any]

    @property
    def lengths(self) -> Ints:
        return self.inputs.lengths

    def shape(self, indices: Ints, rounded: bool = False) -> tuple[int, ...]:
        return self.inputs.shape(indices, rounded)

    def batch(
        self, indices: Ints, rounded: bool = False
    ) -> tuple[dict[str, npt.NDArray[np.int32]], Any]:
        return self.inputs.batch(indices, rounded), self.labels[indices]

    def spec(self) -> Any:
        tokens = tf.TensorSpec([None, None], tf.int32)
        labels = tf.TensorSpec([None, *self.labels.shape[1:]], self.labels.dtype)
        return {name: tokens for name in FEATURES}, labels


# The label of a token that has none.
NO_LABEL = -1


@dataclasses.dataclass(frozen=True)
class TokenLabelledExamples:
    """Tokenized examples with a label for each token, or `NO_LABEL`.

    `labels` is int32, those of all examples one after the other, as `inputs.token_ids` are. A
    batch has them as `[batch, length]`, the padding without labels.
    """

    inputs: EncodedExamples
    labels: npt.NDArray[np.int32]

    @property
    def lengths(self) -> Ints:
        return self.inputs.lengths

    def shape(self, indices: Ints, rounded: bool = False) -> tuple[int, ...]:
        return self.inputs.shape(indices, rounded)

    def batch(
        self, indices: Ints, rounded: bool = False
    ) -> tuple[dict[str, npt.NDArray[np.int32]], Any]:
        features = self.inputs.batch(indices, rounded)
        real = features["padding_mask"] == 1
        labels = np.full(real.shape, NO_LABEL, np.int32)
        parts = [self.labels[slice(*self.inputs.splits[[i, i + 1]])] for i in indices]
        labels[real] = np.concatenate(parts)
        return features, labels

    def spec(self) -> Any:
        tokens = tf.TensorSpec([None, None], tf.int32)
        return {name: tokens for name in FEATURES}, tokens
