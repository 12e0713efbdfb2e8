"""TextClassifier: one label for a text or for a pair of texts."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_keras import checkpoints
from bert_keras.data.examples import Examples
from bert_keras.errors import UserError
from bert_keras.metrics.glue import classification_metrics
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks.base import Batch
from bert_keras.tasks.fine_tuned import Prepared
from bert_keras.tasks.inputs import as_strings, has_features, has_pairs
from bert_keras.tasks.labelled import Label, LabelledTask
from bert_keras.tasks.text_inputs import TextInputs
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult

_PROBLEM = "single_label_classification"


@dataclasses.dataclass(frozen=True)
class Classification:
    """The answer for one input: the likeliest label, its probability, and all of them."""

    label: Label
    score: float
    scores: dict[Label, float]


@keras.saving.register_keras_serializable(package="bert_keras")
class TextClassifier(TextInputs, LabelledTask):
    """BERT for sequence classification: dropout and a dense layer on the pooled output.

    Args:
        encoder: a BertEncoder with a pooler.
        tokenizer: the BertTokenizer of its vocabulary.
        labels: the classes, strings or whole numbers, in the order of the logits. None leaves
            them to `fit`, which takes the sorted labels of the training data.
        pairs: whether an example is a pair of texts; None until `fit` sees its data.
        max_length, seed: see `BertTask`.

    Example:

        classifier = TextClassifier.from_pretrained("DIR", labels=["negative", "positive"])
        classifier.compile()
        classifier.fit(train_ds, validation_data=dev_ds, epochs=3)   # batches of (strings, label)
        classifier.predict(["good film"])[0].label
    """

    task_name = "classification"
    architecture = "BertForSequenceClassification"
    best_metric = "accuracy"
    packs = True

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        labels: Sequence[Label] | None = None,
        pairs: bool | None = None,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "text_classifier")
        if encoder.pooler is None:
            raise ValueError("TextClassifier needs an encoder with a pooler")
        super().__init__(encoder, tokenizer, labels, max_length, seed, **kwargs)
        self.pairs = pairs

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 logits `[batch, classes]`, or `[batch, per_row, classes]` when packed."""
        pooled = self.encoder(features, training=training)["pooled_output"]
        return self.logits_of(pooled, features, training)

    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """Softmax cross-entropy, summed over the examples, with the weight of each."""
        labels = tf.reshape(tf.cast(labels, tf.int32), tf.shape(outputs)[:-1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        if weights is None:
            weights = tf.ones_like(losses)
        weights = tf.reshape(tf.cast(weights, losses.dtype), tf.shape(losses))
        term = LossTerm(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))
        return StepResult({"loss": term}, outputs)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Class indices, int32 `[batch]`; see `label_indices`."""
        return self.label_indices(labels)

    def _set_up(self, x: Any, y: Any) -> None:
        if isinstance(x, Examples):
            self.pairs = x.pairs is not None
            if self._labels is None:
                self.set_labels(x.label_set())
            return
        inputs = x
        if isinstance(x, tf.data.Dataset):
            inputs = x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec
        if isinstance(inputs, tuple) or not has_features(inputs):
            self.pairs = has_pairs(inputs)
        if self._labels is None:
            self.set_labels(_labels_in(x, y))

    # Data, answers and metrics.

    @classmethod
    def options_from(cls, train: Examples, given: Mapping[str, Any]) -> dict[str, Any]:
        labels = given.get("labels") or train.label_set()
        return {**given, "labels": list(labels), "pairs": train.pairs is not None}

    def prepare(self, examples: Examples) -> Prepared:
        labels = None
        if examples.labels is not None:
            known = [str(label) for label in self.labels]
            labels = np.asarray(examples.label_ids(known), np.int32)
        return Prepared(examples, self.encode(examples.texts, examples.pairs), labels)

    def answers(self, prepared: Prepared, outputs: np.ndarray) -> list[Classification]:
        """Logits `[N, classes]` as labels with their probabilities."""
        answers, labels = [], self.labels
        for scores in ops.convert_to_numpy(ops.softmax(outputs, axis=-1)):
            named = dict(zip(labels, scores.tolist(), strict=True))
            best = labels[int(np.argmax(scores))]
            answers.append(Classification(best, named[best], named))
        return answers

    def metrics_of(self, prepared: Prepared, outputs: np.ndarray) -> dict[str, float]:
        """Loss, accuracy and the other metrics of GLUE from logits and class indices."""
        labels, wide = prepared.gold, outputs.astype(np.float64)
        top = wide.max(axis=-1, keepdims=True)
        log_sums = np.log(np.exp(wide - top).sum(axis=-1)) + top[:, 0]
        losses = log_sums - wide[np.arange(len(labels)), labels]
        predictions = outputs.argmax(axis=-1)
        return {
            "loss": float(losses.mean()),
            **classification_metrics(labels, predictions, len(self.labels)),
        }

    def metric_names(self) -> tuple[str, ...]:
        binary = ("f1",) if len(self.labels) == 2 else ()
        return ("accuracy", *binary, "matthews_correlation")

    # Saving.

    def options(self) -> dict[str, Any]:
        return {**super().options(), "pairs": self.pairs}

    def config_fields(self) -> dict[str, Any]:
        return {**super().config_fields(), "problem_type": _PROBLEM}

    @classmethod
    def recognises(cls, checkpoint: checkpoints.Checkpoint) -> bool:
        named = checkpoint.settings.get("architectures") or [cls.architecture]
        if cls.architecture not in named or not checkpoint.has_head("classifier"):
            return False
        kind = checkpoint.settings.get("problem_type") or _PROBLEM
        if kind != _PROBLEM:
            raise UserError(
                f"{checkpoint.source}: problem_type is {kind!r}, expected a classifier's"
            )
        return True

    def write_assets(self, directory: pathlib.Path) -> list[pathlib.Path]:
        """Writes the vocabulary and the labels, one a line, for who uses an exported model."""
        labels = directory / "labels.txt"
        labels.write_text("".join(f"{label}\n" for label in self.labels), encoding="utf-8")
        return [*super().write_assets(directory), labels]


def _labels_in(x: Any, y: Any) -> list[Label]:
    """The sorted labels of what `fit` is given."""
    if isinstance(x, tf.data.Dataset):
        if int(x.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise ValueError("the dataset has no end, so its labels cannot be listed: give labels=")
        batches = [element[1] for element in x.as_numpy_iterator()]
        values = np.concatenate([np.ravel(batch) for batch in batches])
    else:
        values = np.asarray(y)
    distinct = np.unique(values.astype(np.int32) if values.dtype == bool else values)
    if distinct.dtype.kind in "SO":
        distinct = np.unique(as_strings(distinct))
    return list(distinct.tolist())
