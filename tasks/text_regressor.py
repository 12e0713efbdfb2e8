"""TextRegressor: a number for a text or for a pair of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_keras import checkpoints
from bert_keras.data.examples import Examples
from bert_keras.data.labelled_kinds import ScoredExamples
from bert_keras.layers.basic import weight_seed
from bert_keras.metrics.correlation import pearson, spearman
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import graph_checks, input_checks
from bert_keras.tasks.base import Batch
from bert_keras.tasks.dense_head import DenseHead, classifier_dropout
from bert_keras.tasks.distillation import weighted_sum
from bert_keras.tasks.fine_tuned import Prepared
from bert_keras.tasks.pooled_text import REGRESSION, PooledText
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult


@dataclasses.dataclass(frozen=True)
class Regression:
    """The answer for one input: a number on the scale of the training data."""

    score: float


@keras.saving.register_keras_serializable(package="bert_keras")
class AbsoluteError(keras.metrics.Mean):
    """The mean absolute error of scores `[batch]`; Keras's own would weigh batches, not scores."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        labels = ops.reshape(ops.cast(y_true, y_pred.dtype), ops.shape(y_pred))
        return super().update_state(ops.abs(y_pred - labels), sample_weight)


@keras.saving.register_keras_serializable(package="bert_keras")
class TextRegressor(PooledText):
    """BERT for regression: dropout and a dense layer with one output on the pooled output.

    Args:
        encoder: a BertEncoder with a pooler.
        tokenizer: the BertTokenizer of its vocabulary.
        pairs: whether an example is a pair of texts; None until `fit` sees its data.
        max_length, seed: see `BertTask`.

    Example:

        regressor = TextRegressor.from_pretrained("DIR")
        regressor.compile()
        regressor.fit((texts, other_texts), scores, epochs=3)   # lists of strings, of floats
        regressor.predict((["a cat sleeps"], ["a cat is asleep"]))[0].score
    """

    task_name = "regression"
    head = "classifier"
    best_metric = "pearson"
    problem_type = REGRESSION
    examples_kind = ScoredExamples
    metrics_taken = "names"

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        pairs: bool | None = None,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "text_regressor")
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        config = encoder.config
        self.classifier = DenseHead(config, 1, classifier_dropout(config))
        with weight_seed(seed):
            self.classifier.build(config.hidden_size)
        self.pairs = pairs
        self.built = True

    def logits_of(self, states: Any, features: Batch, training: bool) -> Any:
        """Float32 scores `[…]`, without an axis for the one output."""
        seed = self.dropout_seed(features) if training else None
        return ops.squeeze(self.classifier(states, training=training, dropout_seed=seed), axis=-1)

    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """Squared errors of scores `[batch]`, summed, with the weight of each."""
        # Labels [batch, 1] less scores [batch] would be [batch, batch].
        labels = tf.reshape(tf.cast(labels, outputs.dtype), tf.shape(outputs))
        return StepResult({"loss": LossTerm.of(tf.square(outputs - labels), weights)}, outputs)

    def distance_from(self, targets: Any, outputs: Any, *batch: Any) -> tf.Tensor:
        """The squared distance from the teacher's scores."""
        return weighted_sum(tf.square(tf.stop_gradient(targets) - outputs), batch[2])

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [AbsoluteError(name="mean_absolute_error")]

    def labels_of(self, y: Any, x: Any, name: str) -> Any:
        """Returns finite numbers as an array."""
        return np.asarray(input_checks.finite_numbers(y, name), np.float32)

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Scores, float32 `[batch]`."""
        return tf.reshape(graph_checks.finite(labels, "score"), [-1])

    # Data, answers and metrics.

    @classmethod
    def options_from(cls, train: Examples, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**given, "pairs": train.pairs is not None}

    def gold_of(self, examples: Examples) -> np.ndarray:
        return np.asarray(examples.labels, np.float32)

    def answers(self, prepared: Prepared, outputs: np.ndarray) -> list[Regression]:
        return [Regression(score) for score in outputs.tolist()]

    def metrics_of(self, prepared: Prepared, outputs: np.ndarray) -> dict[str, float]:
        """The mean squared error as `loss`, and both correlations."""
        errors = outputs.astype(np.float64) - prepared.gold
        return {
            "loss": float(np.square(errors).mean()),
            "pearson": pearson(outputs, prepared.gold),
            "spearman": spearman(outputs, prepared.gold),
        }

    def metric_names(self) -> tuple[str, ...]:
        return ("pearson", "spearman")

    # Saving.

    def options(self) -> dict[str, Any]:
        return {"pairs": self.pairs}

    def head_weights(self) -> dict[str, keras.Variable]:
        return self.classifier.head_weights()

    def take_head(self, checkpoint: checkpoints.Checkpoint, stored: Mapping[str, Any]) -> None:
        """Fills the head; notes an activation of a cross-encoder, which is not applied."""
        super().take_head(checkpoint, stored)
        settings = checkpoint.settings.get("sentence_transformers")
        named = settings.get("activation_fn") if isinstance(settings, Mapping) else None
        if named and not str(named).endswith(".Identity"):
            checkpoint.report.notes.append(f"scores are without its activation_fn {named}")

    def config_fields(self) -> dict[str, Any]:
        # One label is how transformers knows that there is one output.
        return {**super().config_fields(), **checkpoints.label_fields(["LABEL_0"])}
