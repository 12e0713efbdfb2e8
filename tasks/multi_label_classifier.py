"""MultiLabelClassifier: any number of labels for a text or for a pair of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_keras.data.examples import Examples, sorted_labels
from bert_keras.data.labelled_kinds import MultiLabelExamples
from bert_keras.errors import UserError
from bert_keras.metrics import classes
from bert_keras.tasks import graph_checks, multi_hot
from bert_keras.tasks.distillation import weighted_sum
from bert_keras.tasks.fine_tuned import Prepared
from bert_keras.tasks.labelled import Label
from bert_keras.tasks.labelled_text import LabelledText
from bert_keras.tasks.pooled_text import MULTI_LABEL
from bert_keras.training.train_step import LossTerm, StepResult

# A label is given from this probability on.
SELECTED = 0.5


@dataclasses.dataclass(frozen=True)
class MultiLabelClassification:
    """The answer for one input: the labels of probability 0.5 or more, the likeliest first, and
    the probabilities of all."""

    labels: list[Label]
    scores: dict[Label, float]


@keras.saving.register_keras_serializable(package="bert_keras")
class SubsetAccuracy(keras.metrics.Mean):
    """The share of examples whose labels are exactly those of probability 0.5 or more."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        selected = ops.sigmoid(y_pred) >= SELECTED
        right = ops.all(selected == (ops.reshape(y_true, ops.shape(y_pred)) >= 0.5), axis=-1)
        return super().update_state(ops.cast(right, "float32"), sample_weight)


@keras.saving.register_keras_serializable(package="bert_keras")
class MultiLabelClassifier(LabelledText):
    """As `TextClassifier`, each label being a decision of its own.

    Args:
        encoder, tokenizer, labels, pairs, max_length, seed: see `TextClassifier`. Labels that
            are left to `fit` are the columns of a DataFrame, or else the columns' numbers.
        class_weights: what the training loss of an example that has the label is multiplied by,
            a dict; 1 where nothing is said.

    Example:

        classifier = MultiLabelClassifier.from_pretrained("DIR", labels=["food", "service"])
        classifier.compile()
        classifier.fit(["good soup", "slow"], [[1, 0], [0, 1]])   # a column for each label
        classifier.predict(["slow, but good"])[0].labels
    """

    task_name = "classification"
    best_metric = "micro_f1"
    default_name = "multi_label_classifier"
    problem_type = MULTI_LABEL
    examples_kind = MultiLabelExamples
    one_label = False

    def loss_terms(
        self, outputs: Any, labels: Any, weights: Any, class_weights: tf.Tensor | None = None
    ) -> StepResult:
        """Sigmoid cross-entropy, the mean over the labels, summed over the examples."""
        labels = tf.reshape(tf.cast(labels, outputs.dtype), tf.shape(outputs))
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, outputs)
        if class_weights is not None:
            # TensorFlow's own weighted loss has a wrong gradient where a logit is 0.
            losses *= tf.where(labels > 0.5, class_weights, 1.0)
        return StepResult({"loss": LossTerm.of(tf.reduce_mean(losses, axis=-1), weights)}, outputs)

    def distance_from(self, targets: Any, outputs: Any, *batch: Any) -> tf.Tensor:
        """`T² KL(teacher ‖ student)` of each label, the mean over the labels."""
        _, _, weights, temperature = batch
        soft, own = tf.stop_gradient(targets) / temperature, outputs / temperature
        cross, least = (
            tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(soft), logits)
            for logits in (own, soft)
        )
        return weighted_sum(temperature**2 * tf.reduce_mean(cross - least, axis=-1), weights)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [SubsetAccuracy(name="subset_accuracy")]

    def labels_of(self, y: Any, x: Any, name: str) -> Any:
        """Returns zeros and ones, `[N, labels]`; columns of a DataFrame by the labels' names."""
        return multi_hot.zeros_and_ones(y, self.labels, name)

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Zeros and ones, float32 `[batch, labels]`."""
        width, labels = len(self.labels), tf.convert_to_tensor(labels)
        if labels.dtype == tf.string or not labels.shape.is_compatible_with([None, width]):
            raise UserError(
                f"labels are {labels.dtype.name} of shape {labels.shape}; expected zeros and ones "
                f"of shape [batch, {width}]"
            )
        message = "labels are 0 or 1, a column for each of " + ", ".join(map(str, self.labels))
        floats = tf.ensure_shape(tf.cast(labels, tf.float32), [None, width])
        return graph_checks.checked(floats, (floats == 0.0) | (floats == 1.0), floats, message)

    @classmethod
    def labels_in(cls, x: Any, y: Any) -> list[Label]:
        """Returns the names of a DataFrame's columns, or else the columns' numbers."""
        if not isinstance(x, tf.data.Dataset):
            return multi_hot.column_labels(y, "y")
        shape = x.element_spec[1].shape
        if not shape.rank or shape[-1] is None:
            raise UserError("the number of labels is not known: give labels=")
        return list(range(shape[-1]))

    # Data, answers and metrics.

    @classmethod
    def balanced_weights(cls, train: Examples, labels: Sequence[str]) -> list[float]:
        """For each label the examples that do not have it, over those that do."""
        there = _examples(train).multi_hot(labels).sum(axis=0).tolist()
        return [max(1.0, len(train) - count) / count if count else 1.0 for count in there]

    @classmethod
    def check_labels(cls, train: Examples, labels: Sequence[str]) -> None:
        _examples(train).multi_hot(labels)

    def gold_of(self, examples: Examples) -> np.ndarray:
        """Zeros and ones; labels that the model does not know have columns after its own."""
        return _examples(examples).multi_hot(self.scored_names(examples))

    def answers(self, prepared: Prepared, outputs: np.ndarray) -> list[MultiLabelClassification]:
        """Logits `[N, labels]` as labels with their probabilities."""
        answers = []
        for row in _probabilities(outputs):
            scores = dict(zip(self.labels, row.tolist(), strict=True))
            chosen = [label for label, score in scores.items() if score >= SELECTED]
            chosen.sort(key=lambda label: -scores[label])
            answers.append(MultiLabelClassification(chosen, scores))
        return answers

    def metrics_of(self, prepared: Prepared, outputs: np.ndarray) -> dict[str, float]:
        """Loss, micro and macro F1 and subset accuracy, from logits and zeros and ones."""
        gold, wide = prepared.gold, outputs.astype(np.float64)
        losses = np.logaddexp(0.0, wide) - wide * gold[:, : len(self.labels)]
        selected = _selected(outputs, gold.shape[1])
        return {"loss": float(losses.mean()), **classes.multi_label_metrics(gold, selected)}

    def details(self, prepared: Prepared, outputs: np.ndarray) -> dict[str, Any]:
        """`per_class`: precision, recall, F1 and support of each label."""
        gold = prepared.gold
        names = [str(label) for label in self.labels]
        found = {label for labels in prepared.examples.labels for label in labels}
        names += sorted_labels(found - set(names))
        counts = classes.label_counts(gold, _selected(outputs, gold.shape[1]))
        return {"per_class": classes.per_class(names, *counts)}

    def metric_names(self) -> tuple[str, ...]:
        return ("micro_f1", "macro_f1", "subset_accuracy")


def _probabilities(logits: np.ndarray) -> np.ndarray:
    """The sigmoid of logits, float32."""
    return np.asarray(ops.convert_to_numpy(ops.sigmoid(logits)))


def _selected(logits: np.ndarray, width: int) -> np.ndarray:
    """Returns which labels are given, bool `[N, width]`; False beyond the model's own."""
    selected = _probabilities(logits) >= SELECTED
    return np.pad(selected, [(0, 0), (0, width - selected.shape[1])])


def _examples(examples: Examples) -> MultiLabelExamples:
    if not isinstance(examples, MultiLabelExamples):
        raise UserError(f"{examples.source}: was read with one label for each example")
    return examples
