"""PooledText: tasks with a dense layer on the pooled output of texts or of pairs of texts."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.data.examples import Examples
from bert_keras.errors import UserError
from bert_keras.tasks.base import Batch
from bert_keras.tasks.fine_tuned import FineTunedTask, Prepared
from bert_keras.tasks.inputs import has_features, has_pairs
from bert_keras.tasks.label_lookup import check_label_shape
from bert_keras.tasks.text_inputs import TextInputs

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"


def problem_type_of(checkpoint: checkpoints.Checkpoint) -> str:
    """What a checkpoint of BertForSequenceClassification was trained for.

    Where it does not say, one output is a regression's, as transformers has it.

    Raises:
        UserError: it says something unknown, or two numbers of classes.
    """
    labels = checkpoint.labels() or ()
    found = checkpoint.settings.get("problem_type") or (
        REGRESSION if len(labels) == 1 else SINGLE_LABEL
    )
    known = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
    if found not in known:
        raise UserError(
            f"{checkpoint.source}: problem_type is {found!r}, expected one of {', '.join(known)}"
        )
    return str(found)


class PooledText(TextInputs, FineTunedTask):
    """BERT for sequence classification, in transformers' wide sense of the word.

    A subclass has `pairs` and `logits_of`, dropout and the dense layer.

    Attributes:
        problem_type: as transformers tells the kinds apart.
        one_label: whether a text has one label or number, not a row of them.
    """

    architecture = "BertForSequenceClassification"
    packs = True
    problem_type: ClassVar[str]
    one_label: ClassVar[bool] = True

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 logits `[batch, outputs]`, or `[batch, per_row, outputs]` when packed."""
        pooled = self.encoder.pooled(features, training=training)
        return self.logits_of(pooled, features, training)

    def inputs_of(self, x: Any, name: str) -> Any:
        """As `BertTask.inputs_of`; a UserError where a dataset has rows in place of labels."""
        x = super().inputs_of(x, name)
        if self.one_label and isinstance(x, tf.data.Dataset):
            check_label_shape(x.element_spec, name)
        return x

    def _set_up(self, x: Any, y: Any) -> None:
        if isinstance(x, Examples):
            self.check(x)
            self.pairs = x.pairs is not None
            return
        inputs = x.element_spec[0] if isinstance(x, tf.data.Dataset) else x
        if not has_features(inputs):
            self.check_inputs(inputs, "x")
            self.pairs = has_pairs(inputs)

    def prepare(self, examples: Examples) -> Prepared:
        labels = None if examples.labels is None else self.gold_of(examples)
        return Prepared(examples, self.encode(examples.texts, examples.pairs), labels)

    @abc.abstractmethod
    def gold_of(self, examples: Examples) -> np.ndarray:
        """The labels of labelled examples, `[N, …]`, as `loss_terms` takes them."""

    def config_fields(self) -> dict[str, Any]:
        return {**super().config_fields(), "problem_type": self.problem_type}

    @classmethod
    def recognises(cls, checkpoint: checkpoints.Checkpoint) -> bool:
        return _has_head(checkpoint) and problem_type_of(checkpoint) == cls.problem_type

    @classmethod
    def without_head(cls, checkpoint: checkpoints.Checkpoint) -> None:
        if not _has_head(checkpoint):
            super().without_head(checkpoint)
            return
        checkpoint.report.notes.append(
            f"its head is for {problem_type_of(checkpoint)}, the new one for {cls.problem_type}"
        )


def _has_head(checkpoint: checkpoints.Checkpoint) -> bool:
    """Returns whether a checkpoint is of BertForSequenceClassification, its head included."""
    named = checkpoint.architectures()
    return PooledText.architecture in named and checkpoint.has_head("classifier")
