"""FineTunedTask: what is also trained and scored on labelled data."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from bert_keras.data.training_examples import LabelledExamples, TrainingExamples
from bert_keras.tasks.answering import AnsweringTask, Prepared

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
    def options_from(cls, train: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """The task's options, from its training data and from the task's flags that were given.

        `given` has the values of `bert_keras.flags.task_options` by name.
        """
        return dict(given)

    def describe(self) -> str:
        """What the model has learnt to tell apart, for a message; may be empty."""
        return ""

    def training_examples(self, prepared: Prepared) -> TrainingExamples:
        """What batches are made of."""
        return LabelledExamples(prepared.inputs, prepared.gold)

    # Scores.

    @abc.abstractmethod
    def metrics_of(self, prepared: Prepared, outputs: Any) -> dict[str, float]:
        """`loss` and the task's metrics, of labelled examples."""

    @abc.abstractmethod
    def metric_names(self) -> tuple[str, ...]:
        """What `metrics_of` gives apart from `loss`."""

    def details(self, prepared: Prepared, outputs: Any) -> dict[str, Any]:
        """What `metrics.json` and `evaluate` have beside the metrics; no numbers of an epoch."""
        return {}

    def scored_row(self, example: Mapping[str, Any], answer: Any) -> dict[str, Any]:
        """A line of `predictions.jsonl`: a labelled example with its answer.

        `example` is what `TaskExamples.row` gives. The first field of the answer is called
        `prediction`, so that it does not hide the label.
        """
        (_, prediction), *rest = self.answer_row(answer).items()
        return {**example, "prediction": prediction, **dict(rest)}
