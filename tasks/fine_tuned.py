"""FineTunedTask: what is also trained and scored on labelled data."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.source import TaskExamples
from bert_keras.data.training_batches import TrainingBatches
from bert_keras.data.training_examples import NO_LABEL, LabelledExamples, TrainingExamples
from bert_keras.errors import UserError
from bert_keras.tasks.answering import AnsweringTask, Prepared
from bert_keras.tasks.arrow_inputs import as_examples
from bert_keras.tasks.base import Batch
from bert_keras.tasks.distillation import (
    Distillation,
    check_teacher,
    soft_divergence,
    weighted_sum,
)
from bert_keras.tasks.input_checks import batch_size as as_batch_size
from bert_keras.tasks.input_checks import kind_of
from bert_keras.tasks.inputs import ARGUMENTS, Names
from bert_keras.training.train_step import StepResult

__all__ = ["FineTunedTask", "Prepared"]


class FineTunedTask(AnsweringTask):
    """A task model with its data reader, its answers, its metrics and its checkpoint.

    The verbs `finetune` and `evaluate` know a task by what is here and in `AnsweringTask`, and
    nothing else. A subclass also sets the class attributes below and defines `loss_terms` of
    `BertTask` and the abstract methods below.

    Attributes:
        best_metric: what makes an epoch the best on the dev data.
        packs: whether `loss_terms` takes several examples to a row.
    """

    best_metric: str
    packs: ClassVar[bool] = False

    # Data.

    @classmethod
    def variant(cls, given: Mapping[str, Any]) -> type[FineTunedTask]:
        """The class that the task's flags ask for, of those with this `task_name`."""
        return cls

    @classmethod
    def options_from(cls, train: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """The task's options, from its training data and from the task's flags that were given.

        `given` has the values of `bert_keras.flags.task_options` by name.
        """
        return dict(given)

    def describe(self) -> str:
        """What the model has learnt to tell apart, for a message; may be empty."""
        return ""

    def without_unusable(self, prepared: Prepared, bad_rows: BadRows) -> Prepared:
        """Returns the examples that can be trained on, if they are not all that were read.

        Raises:
            UserError: an example cannot be trained on, and bad rows are not to be skipped.
        """
        return prepared

    def training_examples(self, prepared: Prepared) -> TrainingExamples:
        """What batches are made of."""
        return LabelledExamples(prepared.inputs, prepared.gold)

    # Training with a teacher.

    def distil_from(self, teacher: Any, temperature: float = 2.0, weight: float = 0.5) -> None:
        """Adds the distance from a teacher's outputs to the loss of all further training.

        Args:
            teacher: a trained model of this class with the same labels and vocabulary, made in
                the same strategy's scope; see `tasks.teacher.load_teacher`.
            temperature, weight: see `Distillation`.

        Raises:
            ValueError: a number is out of its range.
            UserError: the teacher has other labels, another vocabulary or too few positions.
        """
        check_teacher(teacher, self)
        # Past Keras, which would take the teacher's weights for this model's.
        self.__dict__["_distillation"] = Distillation(teacher, temperature, weight)
        self.train_function = None

    def update(self, features: Batch, labels: Any, weights: Any = None) -> StepResult:
        """One optimizer update on this replica's part of a batch, with the teacher if any."""
        distillation = self.__dict__.get("_distillation")
        if distillation is None:
            return super().update(features, labels, weights)
        return distillation.update(self, features, labels, weights)

    def vector_width(self) -> int | None:
        """The width of outputs that a teacher's must have too; None where they are of classes."""
        return None

    def distance_from(
        self,
        targets: Any,
        outputs: Any,
        features: Batch,
        labels: Any,
        weights: Any,
        temperature: float,
    ) -> tf.Tensor:
        """How far `outputs` are from a teacher's, `targets`, in the sum over the examples.

        The examples have the weights that they have in `loss_terms`. Here: the divergence of
        classes in the last axis of the outputs, `[…, classes]` with weights `[…]`; what has no
        label counts nothing.
        """
        if weights is None:
            weights = labels != NO_LABEL
        return weighted_sum(soft_divergence(targets, outputs, temperature), weights)

    def inputs_of(self, x: Any, name: str) -> Any:
        """As `BertTask.inputs_of`; what `read` gives, also of a `datasets.Dataset`, stays."""
        x = as_examples(self, x, labelled=True)
        return x if isinstance(x, TaskExamples) else super().inputs_of(x, name)

    def _check_given(self, x: Any, y: Any, sample_weight: Any, names: Names) -> None:
        if not isinstance(x, TaskExamples):
            return super()._check_given(x, y, sample_weight, names)
        for name, value in ((names.y, y), (names.sample_weight, sample_weight)):
            if value is not None:
                raise UserError(f"{name}: {names.x} is {kind_of(x)}, which is taken without")
        if not len(x):
            raise UserError(f"{names.x} is empty; expected at least one example")

    def _feature_dataset(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        shuffle: bool,
        names: Names = ARGUMENTS,
    ) -> tf.data.Dataset:
        x = self.inputs_of(x, names.x)
        if not isinstance(x, TaskExamples):
            return super()._feature_dataset(x, y, sample_weight, batch_size, shuffle, names)
        self._check_given(x, y, sample_weight, names)
        self.check(x)
        examples = self.training_examples(self.prepare(x))
        batches = TrainingBatches(
            examples, self.seed, as_batch_size(batch_size) or 32, shuffle=shuffle
        )
        return batches.every_epoch()

    # Scores.

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As `BertTask.evaluate`; of examples that `read` gives, the metrics of `metrics_of`."""
        x = as_examples(self, x, labelled=True)
        if not isinstance(x, TaskExamples):
            options = verbose, sample_weight, steps, callbacks, return_dict
            return super().evaluate(x, y, batch_size, *options, **kwargs)
        if kwargs:
            raise TypeError(f"evaluate() got the unexpected arguments {', '.join(kwargs)}")
        self._check_given(x, y, sample_weight, ARGUMENTS)
        for name, value in (("steps", steps), ("callbacks", callbacks)):
            if value is not None:
                raise UserError(f"{name}: x is {kind_of(x)}, which is scored as a whole")
        self.check(x)
        prepared = self.prepare(x)
        return self.metrics_of(prepared, self.run(prepared, as_batch_size(batch_size)))

    def tune(self, dev: Prepared, outputs: Any, given: Mapping[str, Any]) -> None:
        """Sets the options that are chosen by a finished model's outputs on the dev data.

        `given` has those that the user chose; see `options_from`.
        """

    @abc.abstractmethod
    def metrics_of(self, prepared: Prepared, outputs: Any) -> dict[str, float]:
        """`loss` and the task's metrics, of labelled examples."""

    @abc.abstractmethod
    def metric_names(self) -> tuple[str, ...]:
        """What `metrics_of` gives apart from `loss`."""

    def details(self, prepared: Prepared, outputs: Any) -> dict[str, Any]:
        """What `metrics.json` and `evaluate` have beside the metrics; no numbers of an epoch."""
        return {}

    def metrics_for(self, examples: Any) -> tuple[str, ...]:
        """What `metrics_of` gives of these examples apart from `loss`, the one that makes an
        epoch the best first."""
        return (self.best_metric, *(x for x in self.metric_names() if x != self.best_metric))

    def scored_row(self, example: Mapping[str, Any], answer: Any) -> dict[str, Any]:
        """A line of `predictions.jsonl`: a labelled example with its answer.

        `example` is what `TaskExamples.row` gives. The first field of the answer is called
        `prediction`, so that it does not hide the label, and one whose name the example has too
        `predicted_NAME`.
        """
        (_, prediction), *rest = self.answer_row(answer).items()
        named = {f"predicted_{name}" if name in example else name: value for name, value in rest}
        return {**example, "prediction": prediction, **named}
