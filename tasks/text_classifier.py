"""TextClassifier: one label for a text or for a pair of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_keras.data.examples import Examples, sorted_labels
from bert_keras.metrics import classes
from bert_keras.metrics.glue import classification_metrics, mean_cross_entropy
from bert_keras.tasks.fine_tuned import FineTunedTask, Prepared
from bert_keras.tasks.label_lookup import dataset_labels, known_labels, label_values
from bert_keras.tasks.labelled import Label
from bert_keras.tasks.labelled_text import LabelledText
from bert_keras.tasks.pooled_text import SINGLE_LABEL
from bert_keras.training.train_step import LossTerm, StepResult


@dataclasses.dataclass(frozen=True)
class Classification:
    """The answer for one input: the likeliest label, its probability, and all of them."""

    label: Label
    score: float
    scores: dict[Label, float]


@keras.saving.register_keras_serializable(package="bert_keras")
class TextClassifier(LabelledText):
    """BERT for sequence classification: dropout and a dense layer on the pooled output.

    Args:
        encoder: a BertEncoder with a pooler.
        tokenizer: the BertTokenizer of its vocabulary.
        labels: the classes, strings or whole numbers, in the order of the logits. None leaves
            them to `fit`, which takes the sorted labels of the training data.
        pairs: whether an example is a pair of texts; None until `fit` sees its data.
        class_weights: what the training loss of an example of each label is multiplied by, a
            dict; 1 where nothing is said. The weighted losses are divided by their weights' sum.
        max_length, seed: see `BertTask`.

    Example:

        classifier = TextClassifier.from_pretrained("DIR", labels=["negative", "positive"])
        classifier.compile()
        classifier.fit(train_ds, validation_data=dev_ds, epochs=3)   # batches of (strings, label)
        classifier.predict(["good film"])[0].label
    """

    task_name = "classification"
    best_metric = "accuracy"
    default_name = "text_classifier"
    problem_type = SINGLE_LABEL
    metrics_taken = "names"

    def loss_terms(
        self, outputs: Any, labels: Any, weights: Any, class_weights: tf.Tensor | None = None
    ) -> StepResult:
        """Softmax cross-entropy, summed over the examples, with the weight of each."""
        labels = tf.reshape(tf.cast(labels, tf.int32), tf.shape(outputs)[:-1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        weights = _example_weights(labels, weights, class_weights)
        return StepResult({"loss": LossTerm.of(losses, weights)}, outputs)

    def distance_from(self, targets: Any, outputs: Any, *batch: Any) -> tf.Tensor:
        """The divergence of the classes; an example has the weight of its label."""
        features, labels, weights, temperature = batch
        labels = tf.reshape(tf.cast(labels, tf.int32), tf.shape(outputs)[:-1])
        weights = _example_weights(labels, weights, self.label_weights())
        return super().distance_from(targets, outputs, features, labels, weights, temperature)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Class indices, int32 `[batch]`; see `label_indices`."""
        return self.label_indices(labels)

    def labels_of(self, y: Any, x: Any, name: str) -> Any:
        """Returns the labels as they are among the model's; see `known_labels`."""
        return known_labels(y, self.labels, name)

    @classmethod
    def labels_in(cls, x: Any, y: Any) -> list[Label]:
        """Returns the sorted labels of what `fit` is given."""
        name = "y"
        if isinstance(x, tf.data.Dataset):
            y, name = dataset_labels(x), "the labels of x"
        distinct: Any = set(label_values(y, name))
        return sorted(distinct)

    # Data, answers and metrics.

    @classmethod
    def variant(cls, given: Mapping[str, Any]) -> type[FineTunedTask]:
        """`MultiLabelClassifier` with `multi_label`."""
        from bert_keras.tasks.multi_label_classifier import MultiLabelClassifier

        return MultiLabelClassifier if given.get("multi_label") else cls

    @classmethod
    def balanced_weights(cls, train: Examples, labels: Sequence[str]) -> list[float]:
        """The number of examples over that of the labels and over that of each label's."""
        counts = np.bincount(train.label_ids(labels), minlength=len(labels))
        return [len(train) / (len(labels) * count) if count else 1.0 for count in counts.tolist()]

    @classmethod
    def check_labels(cls, train: Examples, labels: Sequence[str]) -> None:
        train.label_ids(labels)

    def gold_of(self, examples: Examples) -> np.ndarray:
        """The index of each label; labels that the model does not know come after its own."""
        return np.asarray(examples.label_ids(self.scored_names(examples)), np.int32)

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
        labels = prepared.gold
        known = labels < len(self.labels)
        return {
            "loss": mean_cross_entropy(labels[known], outputs[known]),
            **classification_metrics(labels, outputs.argmax(axis=-1), len(self.labels)),
        }

    def details(self, prepared: Prepared, outputs: np.ndarray) -> dict[str, Any]:
        """`per_class`: precision, recall, F1 and support of each label; `confusion_matrix`."""
        names = [str(label) for label in self.labels]
        names += sorted_labels(set(prepared.examples.labels) - set(names))
        predictions = outputs.argmax(axis=-1)
        matrix = classes.confusion_matrix(prepared.gold, predictions, len(names))
        counts = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
        return {
            "per_class": classes.per_class(names, *counts),
            "confusion_matrix": {"labels": names, "counts": matrix.tolist()},
        }

    def metric_names(self) -> tuple[str, ...]:
        binary = ("f1", "precision", "recall") if len(self.labels) == 2 else ()
        return ("accuracy", *binary, "matthews_correlation")


def _example_weights(labels: tf.Tensor, weights: Any, class_weights: tf.Tensor | None) -> Any:
    """The examples' weights times those of their labels; None for 1 each."""
    if class_weights is None:
        return weights
    own = tf.gather(class_weights, labels)
    if weights is None:
        return own
    return own * tf.reshape(tf.cast(weights, own.dtype), tf.shape(own))
