"""The batches of a fine-tuning run: padded or packed, by number of examples or of tokens."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bert_keras.data.batches import Ints, epoch_order, token_budget_batches
from bert_keras.data.packed_batches import best_row_length, packed_batch
from bert_keras.data.python_calls import ends_at_exit, over_before_exit
from bert_keras.data.training_examples import FEATURES, LabelledExamples, TrainingExamples

# Batches of the first epoch that the length of packed rows is chosen by.
_SAMPLE = 50
# Batches made ahead of the device.
_AHEAD = 4


@dataclasses.dataclass(frozen=True)
class TrainingBatches:
    """The batches of every epoch, functions of these settings and of the epoch alone.

    Attributes:
        examples: the training data, at least one example.
        seed: of the order.
        batch_size: examples of a batch; with `batch_tokens` the most, and None for any number.
        batch_tokens: most tokens of a padded batch, padding included; 0 counts examples.
        batching: "padded", rows of one example each, grouped by length; or "packed", several
            to a row, in random order.
        shuffle: False takes the examples in their own order; for a number of examples only.
        rounded: padded to one of few lengths; see `EncodedExamples.batch`.
    """

    examples: TrainingExamples
    seed: int = 0
    batch_size: int | None = 32
    batch_tokens: int = 0
    batching: str = "padded"
    shuffle: bool = True
    rounded: bool = False

    def __post_init__(self) -> None:
        if self.batching not in ("padded", "packed"):
            raise ValueError(f"batching is 'padded' or 'packed', received {self.batching!r}")
        if self.batch_tokens and self.batching == "packed":
            raise ValueError("batch_tokens is for padded batches; packed ones count examples")
        if self.batch_size is None and not self.batch_tokens:
            raise ValueError("batches without batch_tokens need a batch_size")
        if self.batch_tokens and not self.shuffle:
            raise ValueError("batch_tokens is for shuffled batches")
        if self.batching == "packed" and not isinstance(self.examples, LabelledExamples):
            raise ValueError(f"{type(self.examples).__name__} cannot be packed")

    def steps(self, epoch: int) -> int:
        """Batches of an epoch, from 0."""
        if self.batch_tokens or self.batch_size is None:
            return len(self.plan(epoch))
        return math.ceil(len(self.examples.lengths) / self.batch_size)

    def plan(self, epoch: int) -> list[Ints]:
        """The examples of each batch of an epoch."""
        lengths = self.examples.lengths
        if self.batch_tokens or self.batch_size is None:
            return token_budget_batches(
                lengths, self.batch_tokens, self.seed, epoch, self.batch_size
            )
        size, group = self.batch_size, 50 if self.batching == "padded" else 0
        order = np.arange(len(lengths))
        if self.shuffle:
            order = epoch_order(len(lengths), lengths, size, self.seed, epoch, group)
        return [order[start : start + size] for start in range(0, len(order), size)]

    @functools.cached_property
    def row_length(self) -> int:
        """Tokens of a packed row, the same in every batch of the run."""
        return best_row_length(self.examples.lengths, self.plan(0)[:_SAMPLE])

    def batch(self, indices: Ints) -> tuple[Any, ...]:
        """Features and labels of a batch, and weights of a packed one."""
        if self.batching == "packed":
            examples = self._packable
            return packed_batch(examples.inputs, examples.labels, indices, self.row_length)
        return self.examples.batch(indices, self.rounded)

    @property
    def _packable(self) -> LabelledExamples:
        return cast(LabelledExamples, self.examples)

    def dataset(self, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        """What `batch` returns for each batch of an epoch from a step on, made ahead."""
        plan, spec = self.plan(epoch), self._spec()
        leaves = tf.nest.flatten(spec)

        @over_before_exit
        def values(step: np.int64) -> list[npt.NDArray[Any]]:
            return tf.nest.flatten(self.batch(plan[step]))

        def element(step: tf.Tensor) -> Any:
            # Stateless, which it is: what has a state, a generator for one, is not run ahead
            # while operations are deterministic, and the device would wait for every batch.
            tensors = tf.numpy_function(values, [step], [x.dtype for x in leaves], stateful=False)
            shaped = [
                tf.ensure_shape(x, leaf.shape) for x, leaf in zip(tensors, leaves, strict=True)
            ]
            return tf.nest.pack_sequence_as(spec, shaped)

        dataset = tf.data.Dataset.range(first_step, len(plan)).map(element).prefetch(_AHEAD)
        options = tf.data.Options()
        # There is nothing to tune, and an iterator whose tuner sleeps, up to a minute at a time,
        # is not freed before it wakes: every epoch would end with a pause.
        options.autotune.enabled = False
        return dataset.with_options(options)

    def every_epoch(self) -> tf.data.Dataset:
        """The batches of one epoch, and of the next one each time that it is iterated."""
        epochs, spec = itertools.count(), self._spec()

        @ends_at_exit
        def batches() -> Iterator[tuple[Any, ...]]:
            for indices in self.plan(next(epochs)):
                yield self.batch(indices)

        dataset = tf.data.Dataset.from_generator(batches, output_signature=spec)
        known = tf.data.experimental.assert_cardinality(self.steps(0))
        return dataset.apply(known).prefetch(_AHEAD)

    def _spec(self) -> Any:
        if self.batching == "padded":
            return self.examples.spec()
        labels = self._packable.labels
        tokens = tf.TensorSpec([None, self.row_length], tf.int32)
        return (
            {
                **{name: tokens for name in (*FEATURES, "position_ids", "sequence_ids")},
                "cls_positions": tf.TensorSpec([None, None], tf.int32),
            },
            tf.TensorSpec([None, None, *labels.shape[1:]], labels.dtype),
            tf.TensorSpec([None, None], tf.float32),
        )
