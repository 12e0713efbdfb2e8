"""LabelledTask: tasks whose head has an output for each of a list of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.data import tables
from bert_keras.errors import UserError
from bert_keras.layers.basic import weight_seed
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import input_checks
from bert_keras.tasks.dense_head import DenseHead, classifier_dropout
from bert_keras.tasks.fine_tuned import FineTunedTask
from bert_keras.tasks.label_lookup import Label as Label
from bert_keras.tasks.label_lookup import indices_in_graph
from bert_keras.tokenization import BertTokenizer

_UNSET = "the labels are not set: give labels=, or call fit first"


def columns_of(stored: Sequence[Label], labels: Sequence[Label]) -> list[int] | None:
    """Returns the column of a stored head for each label; None if the head is for other labels.

    Labels are compared as they are written, "1" being 1. The classes of a head without names,
    LABEL_0, LABEL_1 and so on, take as many other labels in order; the labels 0, 1 and so on
    are the classes' numbers.
    """
    names, given = [str(label) for label in stored], [str(label) for label in labels]
    if sorted(names) == sorted(given):
        return [names.index(name) for name in given]
    if not checkpoints.are_default(names) or len(names) != len(given):
        return None
    numbers = class_numbers(len(names))
    return [numbers.index(name) for name in (given if set(given) == set(numbers) else numbers)]


def class_numbers(count: int) -> list[str]:
    """Returns "0", "1", …, as data names classes by their numbers."""
    return [str(index) for index in range(count)]


def _as_labels(labels: Any) -> list[Label]:
    """Returns a model's labels as a list of strings and whole numbers.

    Raises:
        UserError: they have no order, or one is something else.
    """
    if isinstance(labels, (str, bytes)):
        raise UserError(f"labels is {input_checks.shown(labels)}; expected a list of labels")
    found: list[Label] = []
    for index, label in enumerate(input_checks.elements(labels, "labels", "a list of labels")):
        value = str(label) if isinstance(label, str) else input_checks.whole_number(label)
        if value is None:
            where = input_checks.place(labels, "labels", index)
            received = input_checks.shown(label)
            raise UserError(f"{where}: labels are strings or whole numbers, received {received}")
        found.append(value)
    return found


class LabelledTask(FineTunedTask):
    """A task with a head named `classifier` that gives each label a logit.

    Args:
        encoder, tokenizer, max_length, seed: see `BertTask`.
        labels: strings or whole numbers, in the order of the logits. None leaves them to be set
            later, with `set_labels`.
    """

    head = "classifier"

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        labels: Sequence[Label] | None = None,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        config = encoder.config
        # The width is set, and the weights are made, when the labels are known.
        self.classifier = DenseHead(config, 0, classifier_dropout(config))
        self._labels: tuple[Label, ...] | None = None
        if labels is not None:
            self.set_labels(labels)

    @property
    def labels(self) -> list[Label]:
        """The labels in the order of the logits.

        Raises:
            ValueError: they are not set yet.
        """
        if self._labels is None:
            raise ValueError(_UNSET)
        return list(self._labels)

    def set_labels(self, labels: Sequence[Label]) -> None:
        """Fixes the labels and makes the head's weights.

        Raises:
            UserError: fewer than two labels, a label twice, a fraction, or other labels are set
                already.
        """
        labels = _as_labels(labels)
        if self._labels is not None:
            if labels != self.labels:
                raise UserError(f"the labels are {self.labels} already, received {labels}")
            return
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise UserError(f"expected at least two different labels, received {labels}")
        self._labels = tuple(labels)
        self.classifier.width = len(labels)
        with weight_seed(self.seed):
            self.classifier.build(self.encoder.config.hidden_size)
        self.built = True

    def logits_of(self, states: Any, features: Mapping[str, tf.Tensor], training: bool) -> Any:
        """Float32 logits `[…, labels]` of states `[…, hidden]` of a batch.

        Raises:
            ValueError: the labels are not set yet.
        """
        if self._labels is None:
            raise ValueError(_UNSET)
        seed = self.dropout_seed(features) if training else None
        return self.classifier(states, training=training, dropout_seed=seed)

    def label_indices(self, labels: tf.Tensor) -> tf.Tensor:
        """The index of each label, int32, in the graph, of labels as strings or numbers.

        Whole numbers are indices where the labels are strings, and are looked up among the
        labels where these are whole numbers, or are written as such; see `indices_in_graph`.
        Of labels LABEL_0, LABEL_1, … the strings "0", "1", … are indices too. What is not a
        label is an error.
        """
        return indices_in_graph(labels, self.labels)

    def names_in(self, given: Iterable[Any]) -> list[str]:
        """Returns the names of the model's labels in a data set whose labels are `given`.

        They are the labels themselves. A model whose classes have no names, LABEL_0, LABEL_1,
        …, also takes the classes' numbers, as transformers does.
        """
        names = [str(label) for label in self.labels]
        if checkpoints.are_default(names) and all(str(one).isdecimal() for one in given):
            return class_numbers(len(names))
        return names

    def describe(self) -> str:
        return f"labels: {', '.join(map(str, self.labels))}"

    # Saving.

    def options(self) -> dict[str, Any]:
        return {"labels": None if self._labels is None else list(self._labels)}

    def head_weights(self) -> dict[str, keras.Variable]:
        return self.classifier.head_weights()

    def config_fields(self) -> dict[str, Any]:
        return checkpoints.label_fields([str(label) for label in self.labels])

    @classmethod
    def stored_options(cls, checkpoint: checkpoints.Checkpoint) -> dict[str, Any]:
        stored = super().stored_options(checkpoint)
        labels = checkpoint.labels()
        if not stored.get("labels"):
            stored["labels"] = labels
        return stored

    def take_head(self, checkpoint: checkpoints.Checkpoint, stored: Mapping[str, Any]) -> None:
        """Fills the head, its columns in the order of the labels, if it is for these labels.

        Raises:
            UserError: the head's classes have no names, and are more or fewer than the labels.
        """
        known = stored["labels"]
        columns = columns_of(known, self.labels)
        if columns is None:
            self._check_other_labels(checkpoint, known)
            return
        if sorted(map(str, known)) != sorted(map(str, self.labels)):
            pairs = zip(columns, self.labels, strict=True)
            taken = ", ".join(f"{known[column]} as {label}" for column, label in pairs)
            checkpoint.report.notes.append(f"its classes are taken in order: {taken}")
        head, weights = checkpoint.head("classifier"), self.head_weights()
        weights["classifier/kernel"].assign(
            np.ascontiguousarray(head["classifier/kernel"][:, columns])
        )
        weights["classifier/bias"].assign(head["classifier/bias"][columns])

    def _check_other_labels(
        self, checkpoint: checkpoints.Checkpoint, known: Sequence[Label]
    ) -> None:
        """Notes that a head is for other labels; a UserError where only their number tells."""
        own = tables.listed([str(label) for label in self.labels])
        if checkpoints.are_default(known):
            raise UserError(
                f"{checkpoint.source}: its classifier has {len(known)} classes without names, "
                f"received {len(self.labels)} labels: {own}; give {len(known)} labels, or "
                "new_head=True for a classifier with random weights"
            )
        theirs = tables.listed([str(label) for label in known])
        checkpoint.report.notes.append(f"its classifier is for {theirs}, the new one for {own}")
