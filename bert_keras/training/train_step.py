"""The one train step, shared by `fit`, the fine-tuning loop and the pretraining loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
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
    """

    total: tf.Tensor
    weight: tf.Tensor

    def mean(self) -> tf.Tensor:
        """This replica's own mean, for metrics."""
        return self.total / tf.maximum(self.weight, _SMALLEST_WEIGHT)


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


def _global_weight(term: LossTerm) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    weight = tf.stop_gradient(tf.cast(term.weight, tf.float32))
    if context.num_replicas_in_sync > 1:
        weight = context.all_reduce(tf.distribute.ReduceOp.SUM, weight)
    return tf.maximum(weight, _SMALLEST_WEIGHT)


def train_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    features: Mapping[str, tf.Tensor],
    compute: Callable[[Mapping[str, tf.Tensor]], StepResult],
    seed: int,
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
    """
    features = {**features, "dropout_seed": dropout_seed(seed, optimizer.iterations)}
    with tf.GradientTape() as tape:
        result = compute(features)
        loss = tf.add_n([term.total / _global_weight(term) for term in result.terms.values()])
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    optimizer.apply(gradients, variables)
    return result
