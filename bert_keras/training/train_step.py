"""The one train step, shared by `fit`, the fine-tuning loop and the pretraining loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from bert_keras.layers import kernels

# Keeps a batch whose weights are all zero from dividing zero by zero.
_SMALLEST_WEIGHT = 1e-5


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """A loss over this replica's part of the batch: a weighted sum and the weights' sum.

    The loss that is optimised is the sum over all replicas divided by the weight of all
    replicas, so neither uneven parts nor uneven numbers of masked tokens distort it.

    Attributes:
        total: the sum of weighted losses.
        weight: the sum of the weights.
        correct: the weight of right predictions, where the loss is a classification's.
    """

    total: tf.Tensor
    weight: tf.Tensor
    correct: tf.Tensor | None = None

    @classmethod
    def of(cls, losses: tf.Tensor, weights: tf.Tensor | None) -> LossTerm:
        """The term of losses `[…]` and as many weights; None for a weight of 1 each."""
        if weights is None:
            weights = tf.ones_like(losses)
        weights = tf.reshape(tf.cast(weights, losses.dtype), tf.shape(losses))
        return cls(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))

    def mean(self) -> tf.Tensor:
        """This replica's own mean, for metrics."""
        return self.total / tf.maximum(self.weight, _SMALLEST_WEIGHT)

    def accuracy(self) -> tf.Tensor:
        """This replica's own share of right predictions, for metrics."""
        return self.correct / tf.maximum(self.weight, _SMALLEST_WEIGHT)


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What a step leaves: each loss term by name, and the model's outputs."""

    terms: Mapping[str, LossTerm]
    outputs: Any


def dropout_seed(seed: int, step: Any) -> tf.Tensor:
    """Seed of one step's dropout on this replica, int32 `[2]`: a function of these alone."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    base = tf.constant([seed & 0x7FFFFFFF, 0], tf.int32)
    return kernels.fold_seed(kernels.fold_seed(base, step), replica)


def _global_weight(weight: tf.Tensor) -> tf.Tensor:
    """The sum over replicas of a term's weight, safe to divide by."""
    context = tf.distribute.get_replica_context()
    weight = tf.stop_gradient(tf.cast(weight, tf.float32))
    if context.num_replicas_in_sync > 1:
        weight = context.all_reduce(tf.distribute.ReduceOp.SUM, weight)
    return tf.maximum(weight, _SMALLEST_WEIGHT)


Compute = Callable[[Mapping[str, tf.Tensor]], StepResult]


def _gradients(
    variables: Sequence[keras.Variable],
    features: Mapping[str, tf.Tensor],
    compute: Compute,
    weights: Mapping[str, tf.Tensor] | None,
) -> tuple[StepResult, list[Any]]:
    """What `compute` returns, and the gradient of its terms over their global weights."""
    with tf.GradientTape() as tape:
        result = compute(features)
        if weights is None:
            weights = {name: _global_weight(term.weight) for name, term in result.terms.items()}
        loss = tf.add_n([term.total / weights[name] for name, term in result.terms.items()])
    return result, tape.gradient(loss, [variable.value for variable in variables])


def _split(features: Mapping[str, tf.Tensor], parts: int) -> dict[str, tf.Tensor]:
    """Each feature `[batch, …]` as `[parts, batch / parts, …]`, static where it was."""
    split = {}
    for name, value in features.items():
        batch = value.shape[0]
        if batch is not None and batch % parts:
            raise ValueError(
                f"the batch of a replica, {batch}, cannot be cut into {parts} equal parts"
            )
        rows = -1 if batch is None else batch // parts
        split[name] = tf.reshape(value, [parts, rows, *keras.ops.shape(value)[1:]])
    return split


def _accumulate(
    variables: Sequence[keras.Variable],
    features: Mapping[str, tf.Tensor],
    compute: Compute,
    weights: Mapping[str, tf.Tensor],
    parts: int,
) -> tuple[StepResult, list[tf.Tensor]]:
    """`_gradients` of a batch, one part after the other; the result has no outputs."""
    seed = features["dropout_seed"]
    split = _split({k: v for k, v in features.items() if k != "dropout_seed"}, parts)
    sums = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
    terms = {name: (tf.zeros(()), tf.zeros(()), tf.zeros(())) for name in weights}

    def body(part: tf.Tensor, terms: Any, sums: list[tf.Tensor]) -> tuple[Any, Any, Any]:
        own = {name: value[part] for name, value in split.items()}
        own["dropout_seed"] = kernels.fold_seed(seed, part)
        result, gradients = _gradients(variables, own, compute, weights)
        terms = {
            name: tuple(
                old + (0.0 if new is None else new)
                for old, new in zip(terms[name], (one.total, one.weight, one.correct), strict=True)
            )
            for name, one in result.terms.items()
        }
        sums = [a + tf.convert_to_tensor(b) for a, b in zip(sums, gradients, strict=True)]
        return part + 1, terms, sums

    _, terms, sums = tf.while_loop(
        lambda part, *_: part < parts,
        body,
        (tf.constant(0), terms, sums),
        maximum_iterations=parts,
        parallel_iterations=1,
    )
    return StepResult({name: LossTerm(*values) for name, values in terms.items()}, None), sums


def train_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    features: Mapping[str, tf.Tensor],
    compute: Compute,
    seed: int,
    micro_batches: int = 1,
    weights: Mapping[str, tf.Tensor] | None = None,
) -> StepResult:
    """One update, in replica context.

    Args:
        model: its trainable variables are updated.
        optimizer: one of `bert_keras.optimization`, which sums the gradients over replicas,
            then clips, then applies; a Keras optimizer sums as well but clips before.
        features: this replica's part of the batch.
        compute: runs the model on the features, which have gained `dropout_seed`, and
            returns its loss terms; their means over all replicas are added up.
        seed: of the run's dropout.
        micro_batches: gradient accumulation: the features are cut into so many equal parts,
            run one after the other. But for rounding and for dropout, whose seed differs by
            part, the update is that of one pass.
        weights: the weight of each loss term over this replica's whole part of the batch.
            Needed for several micro-batches, each of which counts by the weight of all.

    Raises:
        ValueError: the batch cannot be cut into equal parts, or `weights` is missing.
    """
    features = {**features, "dropout_seed": dropout_seed(seed, optimizer.iterations)}
    variables = model.trainable_variables
    summed = weights and {name: _global_weight(value) for name, value in weights.items()}
    if micro_batches == 1:
        result, gradients = _gradients(variables, features, compute, summed)
    elif summed:
        result, gradients = _accumulate(variables, features, compute, summed, micro_batches)
    else:
        raise ValueError("several micro-batches need the weight of each loss term")
    optimizer.apply(gradients, variables)
    return result
