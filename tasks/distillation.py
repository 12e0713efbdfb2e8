"""Distillation: a model learns from the outputs of a better one, besides the labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tasks.base import Batch
from bert_keras.training.train_step import LossTerm, StepResult, train_step


@dataclasses.dataclass(frozen=True)
class Distillation:
    """The training of a student with a teacher (Hinton et al. 2015).

    https://arxiv.org/abs/1503.02531. The loss is `(1 - weight)` times the task's and `weight`
    times the student's distance from the teacher, each the mean over the same examples. The
    teacher runs without dropout and without gradients on the student's features; no variable of
    the student holds it, and nothing that is saved does.

    Attributes:
        teacher: a task model of the student's class, with its labels and its vocabulary.
        temperature: what the logits of both are divided by, above 0.
        weight: of the distance, 0 to 1.
    """

    teacher: Any
    temperature: float = 2.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"the temperature must be above 0, received {self.temperature}")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"the weight must be between 0 and 1, received {self.weight}")

    def update(self, student: Any, features: Batch, labels: Any, weights: Any) -> StepResult:
        """One optimizer update of the student on this replica's part of a batch."""
        # Outside of the gradient's tape, which would keep what the teacher computes.
        targets = self.teacher(features, training=False)

        def compute(features: Batch) -> StepResult:
            result = student.compute_step(features, labels, weights, training=True)
            distance = student.distance_from(
                targets, result.outputs, features, labels, weights, self.temperature
            )
            return self._mixed(result, distance)

        return train_step(student, student.optimizer, features, compute, student.seed)

    def _mixed(self, result: StepResult, distance: tf.Tensor) -> StepResult:
        ((name, term),) = result.terms.items()
        total = (1.0 - self.weight) * term.total + self.weight * distance
        return StepResult({name: LossTerm(total, term.weight, term.correct)}, result.outputs)


def check_teacher(teacher: Any, student: Any) -> None:
    """A UserError unless the teacher's outputs on the student's features mean the same."""
    if type(teacher) is not type(student):
        raise UserError(f"is a {type(teacher).__name__}, the student a {type(student).__name__}")
    own, other = (
        (task.tokenizer.vocabulary, task.tokenizer.identity()) for task in (student, teacher)
    )
    if own != other:
        raise UserError(
            f"its vocabulary ({teacher.tokenizer.vocab_size} tokens) is not that of the student "
            f"({student.tokenizer.vocab_size} tokens); both must read the same token ids"
        )
    labels, expected = (getattr(task, "labels", None) for task in (teacher, student))
    if labels != expected:
        raise UserError(f"its labels are {labels}, the student's {expected}")
    widths = teacher.vector_width(), student.vector_width()
    if widths[0] != widths[1]:
        raise UserError(f"its vectors are {widths[0]} wide, the student's {widths[1]}")
    longest = teacher.encoder.config.max_position_embeddings
    if longest < student.max_length:
        raise UserError(f"has {longest} positions, the student reads {student.max_length}")


def soft_divergence(targets: tf.Tensor, logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """`T² KL(teacher ‖ student)` of the classes in the last axis: `[…, classes]` gives `[…]`.

    The factor `T²` keeps the gradient's size as the temperature `T` changes.
    """
    soft = tf.nn.log_softmax(tf.stop_gradient(targets) / temperature)
    own = tf.nn.log_softmax(logits / temperature)
    return temperature**2 * tf.reduce_sum(tf.exp(soft) * (soft - own), axis=-1)


def weighted_sum(losses: tf.Tensor, weights: Any) -> tf.Tensor:
    """The sum of losses of any shape times their weights; None for weights of 1."""
    return LossTerm.of(losses, weights).total
