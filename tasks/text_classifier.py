"""TextClassifier: one label for a text or for a pair of texts."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from keras import ops

from bert_keras import checkpoints
from bert_keras.errors import UserError
from bert_keras.layers import kernels
from bert_keras.layers.basic import Linear
from bert_keras.metrics.glue import classification_metrics
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks.base import Batch, BertTask, open_with_tokenizer
from bert_keras.tasks.inputs import (
    as_strings,
    gather_texts,
    has_features,
    has_pairs,
    split_texts,
)
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult

Label = str | int


@dataclasses.dataclass(frozen=True)
class Classification:
    """The answer for one input: the likeliest label, its probability, and all of them."""

    label: Label
    score: float
    scores: dict[Label, float]


def _stored_labels(checkpoint: checkpoints.Checkpoint) -> list[Label] | None:
    """The labels of a classifier's checkpoint, None where it has no head."""
    if not checkpoint.has_head("classifier"):
        return None
    kind = checkpoint.settings.get("problem_type") or "single_label_classification"
    if kind != "single_label_classification":
        raise UserError(f"{checkpoint.source}: problem_type is {kind!r}, expected a classifier's")
    own = checkpoint.settings.get("bert_keras", {}).get("labels")
    labels = own or checkpoints.labels_of(checkpoint.settings, checkpoint.source)
    return None if labels is None else list(labels)


def _columns_of(stored: Sequence[Label], labels: Sequence[Label]) -> list[int] | None:
    """Which column of a stored head is each label's; None where the head is for other labels.

    Labels are compared as they are written, "1" being 1. A head whose labels have no names of
    their own takes those given.
    """
    names, wanted = [str(label) for label in stored], [str(label) for label in labels]
    if names == [f"LABEL_{index}" for index in range(len(wanted))]:
        return list(range(len(wanted)))
    if sorted(names) != sorted(wanted):
        return None
    return [names.index(name) for name in wanted]


@keras.saving.register_keras_serializable(package="bert_keras")
class TextClassifier(BertTask):
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
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        if encoder.pooler is None:
            raise ValueError("TextClassifier needs an encoder with a pooler")
        # The width is set, and the weights are made, when the labels are known.
        self.classifier = Linear(
            0,
            initializer_range=encoder.config.initializer_range,
            name="classifier",
            dtype=self.dtype_policy,
        )
        self.pairs = pairs
        self._labels: tuple[Label, ...] | None = None
        if labels is not None:
            self.set_labels(labels)

    @property
    def labels(self) -> list[Label]:
        """The classes in the order of the logits.

        Raises:
            ValueError: they are not set yet.
        """
        if self._labels is None:
            raise ValueError("the labels are not set: give labels=, or call fit first")
        return list(self._labels)

    @classmethod
    def from_pretrained(
        cls,
        init: str | pathlib.Path,
        labels: Sequence[Label] | None = None,
        max_length: int | None = None,
        seed: int = 0,
        dtype: Any = None,
        tokenizer: BertTokenizer | None = None,
        **encoder_options: Any,
    ) -> TextClassifier:
        """From a checkpoint of any kind that `bert_keras.load` takes.

        A classifier's directory brings its labels and its head. Any other checkpoint, and one
        whose labels are other than those given, gets a head with random weights.

        Args:
            init: a model directory, a Google TF1 directory, a KerasHub preset, or
                `size:NAME` for random weights (which needs `tokenizer`).
            labels: the classes in order; by default those of the checkpoint, if it has any.
            max_length: tokens per example; by default the checkpoint's own, or 128.
            seed: of new weights, dropout and shuffling.
            dtype: Keras dtype policy, such as "mixed_bfloat16".
            tokenizer: instead of the checkpoint's.
            encoder_options: of `BertEncoder`, such as `lora_rank`.

        Raises:
            UserError: the checkpoint is damaged, is not a BERT, or has another kind of head.
        """
        keras.utils.set_random_seed(seed)
        checkpoint, tokenizer = open_with_tokenizer(init, tokenizer, encoder_options)
        encoder = checkpoint.encoder(add_pooler=True, dtype=dtype, **encoder_options)
        own = checkpoint.settings.get("bert_keras", {})
        stored = _stored_labels(checkpoint)
        classifier = cls(
            encoder,
            tokenizer,
            stored if labels is None else labels,
            own.get("pairs"),
            max_length or own.get("max_length", min(128, encoder.config.max_position_embeddings)),
            seed,
        )
        if stored is not None:
            classifier._take_head(checkpoint, stored)
        return classifier

    def _take_head(self, checkpoint: checkpoints.Checkpoint, stored: Sequence[Label]) -> None:
        """The checkpoint's head, its columns in the order of the labels."""
        columns = _columns_of(stored, self.labels)
        if columns is None:
            logging.warning(
                "%s has a head for the labels %s: the new one, for %s, starts from random weights",
                checkpoint.source,
                list(stored),
                self.labels,
            )
            return
        head, weights = checkpoint.head("classifier"), self._head_weights()
        weights["classifier/kernel"].assign(head["classifier/kernel"][:, columns])
        weights["classifier/bias"].assign(head["classifier/bias"][columns])

    def set_labels(self, labels: Sequence[Label]) -> None:
        """Fixes the classes and makes the head's weights.

        Raises:
            UserError: fewer than two labels, a label twice, a fraction, or other labels are set
                already.
        """
        for label in labels:
            if not isinstance(label, str) and int(label) != label:
                raise UserError(f"labels are strings or whole numbers, received {label!r}")
        labels = [label if isinstance(label, str) else int(label) for label in labels]
        if self._labels is not None:
            if labels != self.labels:
                raise UserError(f"the labels are {self.labels} already, received {labels}")
            return
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise UserError(f"expected at least two different labels, received {labels}")
        self._labels = tuple(labels)
        self.classifier.width = len(labels)
        self.classifier.build(self.encoder.config.hidden_size)
        self.built = True

    def _head_weights(self) -> dict[str, keras.Variable]:
        weights = self.classifier.named_weights()
        return {f"classifier/{name}": weight for name, weight in weights.items()}

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 logits `[batch, classes]`, or `[batch, per_row, classes]` when packed."""
        pooled = self.encoder(features, training=training)["pooled_output"]
        shape = (*ops.shape(pooled)[:-1], len(self.labels))
        rows = ops.reshape(pooled, (-1, self.encoder.config.hidden_size))
        config = self.encoder.config
        rate = config.classifier_dropout
        rate = config.hidden_dropout_prob if rate is None else rate
        if training:
            seed = features.get("dropout_seed")
            seed = self.encoder.seed_generator.next() if seed is None else seed
            rows = kernels.dropout(rows, rate, kernels.fold_seed(ops.cast(seed, "int32"), -1))
        logits = self.classifier(rows, training=training)
        return ops.cast(ops.reshape(logits, shape), "float32")

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
        """Class indices, int32 `[batch]`, of labels as strings or numbers.

        Whole numbers are indices where the classes are strings, and are looked up among the
        classes where these are numbers. A label that is not a class is an error.
        """
        if labels.dtype == tf.bool:
            labels = tf.cast(labels, tf.int32)
        classes = self.labels
        if labels.dtype != tf.string and isinstance(classes[0], str):
            indices = tf.cast(labels, tf.int32)
            known = (indices >= 0) & (indices < len(classes))
        else:
            if labels.dtype == tf.string:
                classes = [str(label) for label in classes]
            matches = tf.equal(labels[..., None], tf.constant(classes, labels.dtype))
            indices = tf.argmax(matches, axis=-1, output_type=tf.int32)
            known = tf.reduce_any(matches, axis=-1)
        message = f"a label is not one of {self.labels}"
        with tf.control_dependencies([tf.debugging.assert_equal(known, True, message)]):
            return tf.identity(indices)

    def _set_up(self, x: Any, y: Any) -> None:
        inputs = x
        if isinstance(x, tf.data.Dataset):
            inputs = x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec
        if isinstance(inputs, tuple) or not has_features(inputs):
            self.pairs = has_pairs(inputs)
        if self._labels is not None:
            return
        if isinstance(x, tf.data.Dataset):
            if int(x.cardinality()) == tf.data.INFINITE_CARDINALITY:
                raise ValueError(
                    "the dataset has no end, so its labels cannot be listed: give labels="
                )
            batches = [element[1] for element in x.as_numpy_iterator()]
            values = np.concatenate([np.ravel(batch) for batch in batches])
        else:
            values = np.asarray(y)
        distinct = np.unique(values.astype(np.int32) if values.dtype == bool else values)
        if distinct.dtype.kind in "SO":
            distinct = np.unique(as_strings(distinct))
        self.set_labels(distinct.tolist())

    def predict(self, x: Any, batch_size: int | None = None, **_: Any) -> list[Classification]:
        """The label of each input.

        Args:
            x: a list of strings; a tuple (texts, second texts); a dict with `text` and
                `text_pair`; or a dataset of batches of any of these.
            batch_size: inputs that run together; None for what runs fastest.

        Returns one `Classification` per input, in order.
        """
        inputs = split_texts(gather_texts(x))
        return self.answers(self.raw_outputs(self.encode(*inputs), batch_size))

    def answers(self, logits: np.ndarray) -> list[Classification]:
        """Logits `[N, classes]` as labels with their probabilities."""
        answers, labels = [], self.labels
        for scores in ops.convert_to_numpy(ops.softmax(logits, axis=-1)):
            named = dict(zip(labels, scores.tolist(), strict=True))
            best = labels[int(np.argmax(scores))]
            answers.append(Classification(best, named[best], named))
        return answers

    def metrics_of(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Loss, accuracy and the other metrics of GLUE from logits and class indices."""
        wide = logits.astype(np.float64)
        top = wide.max(axis=-1, keepdims=True)
        log_sums = np.log(np.exp(wide - top).sum(axis=-1)) + top[:, 0]
        losses = log_sums - wide[np.arange(len(labels)), labels]
        predictions = logits.argmax(axis=-1)
        return {
            "loss": float(losses.mean()),
            **classification_metrics(labels, predictions, len(self.labels)),
        }

    def save_pretrained(self, directory: str | pathlib.Path) -> None:
        """Writes a Hugging Face directory, `BertForSequenceClassification`, LoRA merged."""
        checkpoints.save_pretrained(
            directory,
            self.encoder.config,
            "BertForSequenceClassification",
            self.encoder,
            tokenizer=self.tokenizer,
            heads={"classifier": self._head_weights()},
            extra_config={
                **checkpoints.label_fields([str(label) for label in self.labels]),
                "problem_type": "single_label_classification",
                "bert_keras": {
                    "max_length": self.max_length,
                    "labels": self.labels,
                    "pairs": self.pairs,
                },
            },
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self._labels, "pairs": self.pairs}

    def write_assets(self, directory: pathlib.Path) -> list[pathlib.Path]:
        """Writes the vocabulary and the labels, one a line, for who uses an exported model."""
        self.tokenizer.save_pretrained(directory)
        labels = directory / "labels.txt"
        labels.write_text("".join(f"{label}\n" for label in self.labels), encoding="utf-8")
        return [directory / "vocab.txt", labels]
