"""The inner loops of pretraining, as Orbit runs them: updates, and evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orbit
import tensorflow as tf

from bert_keras.training.input_wait import InputWait
from bert_keras.training.train_step import StepResult

Batch = Mapping[str, tf.Tensor]
# What is summed over the updates of a loop, for each loss and for the whole.
_PER_LOSS = ("total", "weight", "correct")
_COUNTS = ("examples", "tokens", "slots")


def loss_names(task: Any) -> tuple[str, ...]:
    """The losses of a pretraining model."""
    return ("mlm", "nsp") if task.next_sentence else ("mlm",)


class _Sums:
    """Sums over replicas and updates, in one small variable."""

    def __init__(self, losses: Sequence[str]) -> None:
        self._losses = tuple(losses)
        # Float32 holds the sums of a loop to seven digits; they start anew with each loop.
        self._variable = tf.Variable(
            tf.zeros([len(_PER_LOSS) * len(self._losses) + len(_COUNTS)]),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )

    def reset(self) -> None:
        self._variable.assign(tf.zeros_like(self._variable))

    def add(self, result: StepResult, features: Batch) -> None:
        """In replica context: this replica's part of a batch."""
        values = [getattr(result.terms[name], part) for name in self._losses for part in _PER_LOSS]
        mask = features["padding_mask"]
        # An example without anything to predict only fills up a last batch.
        examples = tf.reduce_any(features["mask_weights"] > 0, axis=1)
        values += [tf.math.count_nonzero(examples), tf.reduce_sum(mask), tf.size(mask)]
        self._variable.assign_add(tf.stack([tf.cast(value, tf.float32) for value in values]))

    def read(self) -> dict[str, float]:
        """Means and counts by name, over all replicas."""
        values = self._variable.numpy().tolist()
        metrics: dict[str, float] = {}
        for name in self._losses:
            total, weight, correct = values[: len(_PER_LOSS)]
            values = values[len(_PER_LOSS) :]
            metrics[f"{name}_loss"] = total / max(weight, 1e-5)
            metrics[f"{name}_accuracy"] = correct / max(weight, 1e-5)
        metrics["loss"] = sum(metrics[f"{name}_loss"] for name in self._losses)
        return metrics | dict(zip(_COUNTS, values, strict=True))


class PretrainingTrainer(orbit.StandardTrainer):
    """Updates of a pretraining model, any number of them inside one TensorFlow loop.

    A loop gives its losses and accuracies, the numbers of examples, tokens and slots, and the
    seconds waited for batches.

    Args:
        task: a `BertPretrainer`, built and compiled in the strategy's scope.
        strategy: the distribution strategy.
        accumulate: parts that each replica's share of a batch is cut into.

    Attributes:
        position: int32 `[3]`, the example that the next batch starts with: epoch, window, index.
    """

    def __init__(self, task: Any, strategy: tf.distribute.Strategy, accumulate: int) -> None:
        super().__init__(train_dataset=None)
        self.task = task
        self.strategy = strategy
        self.accumulate = accumulate
        self._input_wait = InputWait()
        with strategy.scope():
            self._sums = _Sums(loss_names(task))
            self.position = _replicated([0, 0, 0])
            # The first update whose loss was not a number: its number, counted from 1, and the
            # positions before and after its batch.
            self._failure = _replicated([0] * 7)

    def train_loop_begin(self) -> None:
        self._sums.reset()
        self._input_wait.reset()

    def train_step(self, iterator: Any) -> None:
        self.strategy.run(self._replica_step, args=(self._input_wait.next(iterator),))

    def _replica_step(self, features: Batch) -> None:
        update = tf.cast(self.task.optimizer.iterations, tf.int32) + 1
        result = self.task.update(features, micro_batches=self.accumulate)
        self._sums.add(result, features)
        self._note_failure(result, update, features["next_position"])
        self.position.assign(features["next_position"])

    def _note_failure(self, result: StepResult, update: tf.Tensor, after: tf.Tensor) -> None:
        loss = tf.add_n([term.total for term in result.terms.values()])
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            loss = context.all_reduce(tf.distribute.ReduceOp.SUM, loss)
        known = tf.convert_to_tensor(self._failure)
        found = tf.concat([[update], tf.convert_to_tensor(self.position), after], axis=0)
        first = tf.logical_and(known[0] == 0, tf.logical_not(tf.math.is_finite(loss)))
        self._failure.assign(tf.where(first, found, known))

    def train_loop_end(self) -> dict[str, float]:
        failure = self._failure.numpy().tolist()
        if failure[0]:
            first, last = failure[1:4], failure[4:]
            raise FloatingPointError(
                f"the loss is not a number at step {failure[0]}, in the batch from example "
                f"{_place(first)} to before {_place(last)}; the last checkpoint is from before "
                "it. A lower learning rate, a longer warm-up or float32 may help"
            )
        return self._sums.read() | {"waited_seconds": self._input_wait.seconds}


def _place(position: list[int]) -> str:
    return "epoch {} window {} index {}".format(*position)


def _replicated(values: list[int]) -> tf.Variable:
    """An int32 variable that every replica assigns the same value to."""
    return tf.Variable(
        tf.constant(values, tf.int32),
        trainable=False,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


class PretrainingEvaluator(orbit.AbstractEvaluator):
    """Losses and accuracies on held-out examples, without dropout.

    Args:
        task: the model.
        strategy: the distribution strategy.
        make_dataset: the held-out batches, distributed, from the first to the last.
    """

    def __init__(
        self, task: Any, strategy: tf.distribute.Strategy, make_dataset: Callable[[], Any]
    ) -> None:
        self.task = task
        self.strategy = strategy
        self._make_dataset = make_dataset
        with strategy.scope():
            self._sums = _Sums(loss_names(task))
        self._step = tf.function(self._distributed_step)

    def _distributed_step(self, features: Any) -> None:
        self.strategy.run(self._replica_step, args=(features,))

    def _replica_step(self, features: Batch) -> None:
        # From the logits themselves: the losses of training count a tie as a right prediction.
        outputs = self.task(features, training=False)
        self._sums.add(self.task.loss_terms(outputs, features), features)

    def evaluate(self, num_steps: tf.Tensor) -> dict[str, float]:
        del num_steps  # always all of them
        self._sums.reset()
        for features in self._make_dataset():
            self._step(features)
        metrics = self._sums.read()
        metrics = {name: value for name, value in metrics.items() if name not in _COUNTS}
        # Beyond this a float64 overflows.
        metrics["perplexity"] = math.exp(min(metrics["mlm_loss"], 700.0))
        return {f"eval_{name}": value for name, value in metrics.items()}
