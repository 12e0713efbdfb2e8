"""LabelledText: texts, or pairs of texts, that get one label or several."""

from __future__ import annotations

import abc
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf

from bert_keras.data.examples import Examples
from bert_keras.data.training_examples import TrainingExamples
from bert_keras.errors import UserError
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks.base import Batch
from bert_keras.tasks.fine_tuned import Prepared
from bert_keras.tasks.labelled import Label, LabelledTask
from bert_keras.tasks.pooled_text import PooledText
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import StepResult


class LabelledText(PooledText, LabelledTask):
    """What `TextClassifier` and `MultiLabelClassifier` share.

    Args:
        encoder: a BertEncoder with a pooler.
        tokenizer: the BertTokenizer of its vocabulary.
        labels: strings or whole numbers, in the order of the logits. None leaves them to `fit`.
        pairs: whether an example is a pair of texts; None until `fit` sees its data.
        class_weights: how much labels count in the training loss, 1 where nothing is said. They
            are of a training and are not kept in a model directory.
        max_length, seed: see `BertTask`.
    """

    default_name: ClassVar[str]

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        labels: Sequence[Label] | None = None,
        pairs: bool | None = None,
        class_weights: Mapping[Any, float] | None = None,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", self.default_name)
        self._class_weights = dict(class_weights or {})
        super().__init__(encoder, tokenizer, labels, max_length, seed, **kwargs)
        self.pairs = pairs

    def set_labels(self, labels: Sequence[Label]) -> None:
        """As `LabelledTask.set_labels`; a class weight of anything else is a UserError."""
        super().set_labels(labels)
        _check_class_weights(self._class_weights, self.labels)

    def label_weights(self) -> tf.Tensor | None:
        """The class weights in the order of the labels, float32; None where there are none."""
        if not self._class_weights:
            return None
        named = {str(label): weight for label, weight in self._class_weights.items()}
        return tf.constant([named.get(str(label), 1.0) for label in self.labels], tf.float32)

    @abc.abstractmethod
    def loss_terms(
        self, outputs: Any, labels: Any, weights: Any, class_weights: tf.Tensor | None = None
    ) -> StepResult:
        """As `BertTask.loss_terms`; `class_weights` as `label_weights` gives them."""

    def compute_step(
        self, features: Batch, labels: Any, weights: Any, training: bool
    ) -> StepResult:
        outputs = self(features, training=training)
        class_weights = self.label_weights() if training else None
        return self.loss_terms(outputs, labels, weights, class_weights)

    def training_examples(self, prepared: Prepared) -> TrainingExamples:
        self.check_labels(prepared.examples, [str(label) for label in self.labels])
        return super().training_examples(prepared)

    def _set_up(self, x: Any, y: Any) -> None:
        super()._set_up(x, y)
        if self._labels is None:
            self.set_labels(x.label_set() if isinstance(x, Examples) else self.labels_in(x, y))

    @classmethod
    @abc.abstractmethod
    def labels_in(cls, x: Any, y: Any) -> list[Label]:
        """The labels of what `fit` is given, in order."""

    @classmethod
    @abc.abstractmethod
    def check_labels(cls, train: Examples, labels: Sequence[str]) -> None:
        """Raises a UserError, with file and line, where a training label is not among `labels`."""

    @classmethod
    @abc.abstractmethod
    def balanced_weights(cls, train: Examples, labels: Sequence[str]) -> list[float]:
        """Class weights that make up for how seldom labels occur in the training data."""

    def scored_names(self, examples: Examples) -> list[str]:
        """Returns the labels' names in examples, and those of labels that only these have.

        These are scored as classes that are never predicted.
        """
        given = {label for row in range(len(examples)) for label in examples.labels_at(row)}
        names = self.names_in(given)
        return [*names, *examples.unknown_labels(names)]

    @classmethod
    def options_from(cls, train: Examples, given: Mapping[str, Any]) -> dict[str, Any]:
        labels = list(given.get("labels") or train.label_set())
        cls.check_labels(train, labels)
        options = {**given, "labels": labels, "pairs": train.pairs is not None}
        options.pop("multi_label", None)
        chosen = given.get("class_weights")
        if chosen == "balanced":
            weights = cls.balanced_weights(train, labels)
            options["class_weights"] = dict(zip(labels, weights, strict=True))
        elif isinstance(chosen, str):
            options["class_weights"] = _parse_class_weights(chosen)
            _check_class_weights(options["class_weights"], labels, "--class_weights: ")
        return options

    # Saving.

    def options(self) -> dict[str, Any]:
        return {**super().options(), "pairs": self.pairs}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "class_weights": self._class_weights}

    def write_assets(self, directory: pathlib.Path) -> list[pathlib.Path]:
        """Writes the vocabulary and the labels, one a line, for who uses an exported model."""
        labels = directory / "labels.txt"
        labels.write_text("".join(f"{label}\n" for label in self.labels), encoding="utf-8")
        return [*super().write_assets(directory), labels]


def _check_class_weights(
    weights: Mapping[Any, float], labels: Sequence[Label], where: str = ""
) -> None:
    names = [str(label) for label in labels]
    for label, weight in weights.items():
        if str(label) not in names:
            raise UserError(
                f"{where}a class weight is of {label!r}, expected one of {', '.join(names)}"
            )
        if not 0 < weight < float("inf"):
            raise UserError(f"{where}the class weight of {label!r} is {weight}, expected above 0")


def _parse_class_weights(written: str) -> dict[str, float]:
    """The weights of `label:weight,label:weight`."""
    weights = {}
    for part in written.split(","):
        label, _, weight = part.rpartition(":")
        try:
            weights[label.strip()] = float(weight)
        except ValueError:
            label = ""
        if not label:
            raise UserError(
                f"--class_weights: received {part!r}, expected balanced or label:weight,…"
            )
    return weights
