"""BertTask: what all task models share."""

from __future__ import annotations

import abc
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.data.batches import Ints, cut_by_tokens
from bert_keras.data.encoded import EncodedExamples, encode
from bert_keras.errors import UserError
from bert_keras.models.encoder import BertEncoder
from bert_keras.optimization import AdamW, WarmupDecay, layer_decay_factors
from bert_keras.optimization.layer_decay import RateFactors
from bert_keras.tasks.inputs import as_dataset, as_strings, is_text, split_texts
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import StepResult, train_step

Batch = Mapping[str, tf.Tensor]

# Fewer tokens do not keep the products busy, more fall out of the processor's caches.
_PREDICTION_TOKENS = 3072


def open_with_tokenizer(
    init: str | pathlib.Path, tokenizer: BertTokenizer | None, encoder_options: dict[str, Any]
) -> tuple[checkpoints.Checkpoint, BertTokenizer]:
    """A checkpoint and its tokenizer, or the one given.

    Random weights, `size:NAME`, have as many embeddings as the given tokenizer has pieces, which
    is noted in `encoder_options`.

    Raises:
        UserError: the checkpoint is damaged, is not a BERT, or has no vocabulary.
    """
    checkpoint = checkpoints.open_checkpoint(init)
    if tokenizer is None:
        return checkpoint, checkpoint.tokenizer()
    if checkpoint.format == "size":
        changed = encoder_options.get("config") or {}
        encoder_options["config"] = {"vocab_size": tokenizer.vocab_size, **changed}
    return checkpoint, tokenizer


class BertTask(keras.Model):
    """A BERT encoder with a tokenizer and a head: strings in, answers out.

    A subclass defines `call` (features to raw outputs), `loss_terms`, `preprocess_labels`
    and `predict`.

    Args:
        encoder: the BertEncoder.
        tokenizer: the BertTokenizer; its vocabulary must be the encoder's.
        max_length: tokens per example, specials included; longer inputs are truncated.
        seed: of dropout and of shuffling.

    Raises:
        UserError: `max_length` is below `shortest`, or above the encoder's positions.
    """

    # The least `max_length`: [CLS], a token and [SEP].
    shortest = 3

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", encoder.dtype_policy)
        super().__init__(**kwargs)
        longest = encoder.config.max_position_embeddings
        if max_length > longest:
            raise UserError(
                f"max_length is {max_length}, the encoder has {longest} positions (--seq_length)"
            )
        if max_length < self.shortest:
            raise UserError(
                f"max_length is {max_length}, expected at least {self.shortest} (--seq_length)"
            )
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.seed = seed

    # What a subclass defines.

    @abc.abstractmethod
    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """Summed losses and weights of a batch, from what `call` returned."""

    @abc.abstractmethod
    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Labels of a dataset, in the graph, as `loss_terms` takes them."""

    # Training.

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | None = None,
        learning_rate: float = 5e-5,
        warmup_ratio: float = 0.1,
        weight_decay: float = 0.01,
        clip_norm: float | None = 1.0,
        layer_decay: float = 1.0,
        weighted_metrics: list[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`; without an optimizer, BERT's recipe for fine-tuning.

        The recipe: AdamW with a linear warm-up over `warmup_ratio` of the run and a linear
        decay to zero, biases and layer normalisation not decayed, the global norm of the
        gradient clipped. The length of the run is set by `fit`. The loss is the task's.
        With a `layer_decay` below 1 the lower layers learn more slowly; see
        `layer_decay_factors`.

        Raises:
            ValueError: the precision is float16, whose gradients vanish without a scaling of
                the loss; bfloat16 needs none.
        """
        if self.compute_dtype == "float16":
            raise ValueError("training in float16 is not supported: use mixed_bfloat16")
        if optimizer is None:
            schedule = WarmupDecay(learning_rate, warmup_ratio=warmup_ratio)
            factors = self.rate_factors(layer_decay)
            optimizer = AdamW(schedule, weight_decay, clip_norm=clip_norm, rate_factors=factors)
        if weighted_metrics is None:
            weighted_metrics = self.default_metrics()
        kwargs.setdefault("jit_compile", False)
        super().compile(optimizer=optimizer, weighted_metrics=weighted_metrics, **kwargs)
        self.__dict__.pop("_compiled_call", None)

    def rate_factors(self, layer_decay: float = 1.0) -> RateFactors:
        """What the recipe's learning rate is multiplied by, variable by variable; see `AdamW`."""
        return layer_decay_factors(layer_decay, self.encoder.config.num_hidden_layers)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        """Metrics shown by `fit` and `evaluate` unless `compile` is given others."""
        return []

    def preprocess(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """A batch of strings as features, in the graph; labels as `loss_terms` takes them."""
        texts, pairs = split_texts(x)
        features = self.tokenizer(texts, pairs, max_length=self.max_length)
        if y is None:
            return (features,)
        parts = (features, self.preprocess_labels(y))
        return parts if sample_weight is None else (*parts, sample_weight)

    def _feature_dataset(
        self, x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: bool
    ) -> tf.data.Dataset:
        dataset = as_dataset(x, y, sample_weight, batch_size, self.seed if shuffle else None)
        spec = dataset.element_spec
        inputs = spec[0] if isinstance(spec, tuple) else spec
        if not is_text(inputs):
            labelled = isinstance(spec, tuple) and len(spec) > 1
            return dataset.map(self._label_features) if labelled else dataset
        if not isinstance(spec, tuple):
            dataset = dataset.map(lambda x: (x,))
        return dataset.map(self.preprocess, tf.data.AUTOTUNE, deterministic=True).prefetch(
            tf.data.AUTOTUNE
        )

    def _label_features(self, features: Any, labels: Any, *weights: Any) -> Any:
        return features, self.preprocess_labels(labels), *weights

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        validation_data: Any = None,
        steps_per_epoch: int | None = None,
        sample_weight: Any = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`, on strings or on features.

        Args:
            x: a `tf.data.Dataset` of (texts, labels), (texts, labels, weights), or of features
                in place of texts; or texts as a list, or as a tuple (texts, second texts).
            y, sample_weight: labels and weights, where `x` is not a dataset.
            steps_per_epoch: needed for a dataset of unknown size.

        Raises:
            ValueError: the number of steps is not known and the recipe needs it.
        """
        with self.distribute_strategy.scope():
            self._set_up(x, y)
        dataset = self._feature_dataset(x, y, sample_weight, batch_size, shuffle)
        self._resolve_schedule(dataset, epochs - initial_epoch, steps_per_epoch)
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)):
                validation_data = (validation_data,)
            val_x, val_y, val_weight = (*validation_data, None, None)[:3]
            validation_data = self._feature_dataset(val_x, val_y, val_weight, batch_size, False)
        return super().fit(
            dataset,
            epochs=epochs,
            validation_data=validation_data,
            steps_per_epoch=steps_per_epoch,
            initial_epoch=initial_epoch,
            # What is not a dataset is shuffled by now.
            shuffle=False,
            **kwargs,
        )

    def _set_up(self, x: Any, y: Any) -> None:
        """Hook of `fit` before anything else: what depends on the training data."""

    def _resolve_schedule(
        self, dataset: tf.data.Dataset, epochs: int, steps_per_epoch: int | None
    ) -> None:
        schedule = getattr(self.optimizer, "_learning_rate", None)
        if not isinstance(schedule, WarmupDecay):
            return
        steps = steps_per_epoch
        if steps is None and int(dataset.cardinality()) >= 0:
            steps = int(dataset.cardinality())
        if steps is None:
            raise ValueError(
                "the dataset's size is unknown, so warm-up and decay cannot be laid out: "
                "give steps_per_epoch, or dataset.apply(tf.data.experimental.assert_cardinality)"
            )
        done = int(keras.ops.convert_to_numpy(self.optimizer.iterations.value))
        schedule.resolve(steps * epochs, first_step=done)
        # The schedule's constants are part of the compiled step.
        self.train_function = None

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As `keras.Model.evaluate`, on strings or on features."""
        dataset = self._feature_dataset(x, y, sample_weight, batch_size, shuffle=False)
        return super().evaluate(dataset, **kwargs)

    def compute_step(
        self, features: Batch, labels: Any, weights: Any, training: bool
    ) -> StepResult:
        """Outputs and loss terms of one batch."""
        return self.loss_terms(self(features, training=training), labels, weights)

    def update(self, features: Batch, labels: Any, weights: Any = None) -> StepResult:
        """One optimizer update on this replica's part of a batch."""

        def compute(features: Batch) -> StepResult:
            return self.compute_step(features, labels, weights, training=True)

        return train_step(self, self.optimizer, features, compute, self.seed)

    def train_step(self, data: Any) -> dict[str, Any]:
        features, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        result = self.update(features, labels, weights)
        return self._log(result, features, labels, weights)

    def test_step(self, data: Any) -> dict[str, Any]:
        features, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        result = self.compute_step(features, labels, weights, training=False)
        return self._log(result, features, labels, weights)

    def _log(
        self, result: StepResult, features: Batch, labels: Any, weights: Any
    ) -> dict[str, Any]:
        for term in result.terms.values():
            self._loss_tracker.update_state(term.mean(), sample_weight=term.weight)
        return self.compute_metrics(features, labels, result.outputs, sample_weight=weights)

    # Prediction.

    def encode(self, texts: Any, pairs: Any = None) -> EncodedExamples:
        """Tokenizes lists of strings, truncated to `max_length`."""
        strings = as_strings(texts)
        others = None if pairs is None else as_strings(pairs)
        if others is not None and len(others) != len(strings):
            raise ValueError(f"{len(strings)} texts but {len(others)} second texts")
        return encode(self.tokenizer, strings, others, self.max_length)

    def raw_outputs(self, encoded: EncodedExamples, batch_size: int | None = None) -> np.ndarray:
        """What `call` returns, float32 `[N, …]`, of tokenized examples in their order.

        Examples of similar length are run together, so little is spent on padding: batches of
        `batch_size` examples, or of about so many tokens as run fastest.
        """
        parts, outputs = [], []
        for part, output in self.batch_outputs(encoded, batch_size):
            parts.append(part)
            outputs.append(np.asarray(output))
        merged = np.concatenate(outputs)
        restored = np.empty_like(merged)
        restored[np.concatenate(parts)] = merged
        return restored

    def token_outputs(
        self, encoded: EncodedExamples, batch_size: int | None = None
    ) -> list[np.ndarray]:
        """As `raw_outputs`, where `call` returns `[batch, length, …]`: for each example an array
        `[its length, …]`, without the padding."""
        found: dict[int, np.ndarray] = {}
        for part, output in self.batch_outputs(encoded, batch_size):
            for index, rows in zip(part.tolist(), np.asarray(output), strict=True):
                found[index] = rows[: encoded.lengths[index]]
        return [found[index] for index in range(len(encoded))]

    def batch_outputs(
        self, encoded: EncodedExamples, batch_size: int | None = None
    ) -> Iterator[tuple[Ints, Any]]:
        """What `call` returns for each batch of `raw_outputs`, with the examples that are in it."""
        order = np.argsort(-encoded.lengths, kind="stable")
        limit = len(order) if batch_size is None else batch_size
        lengths = np.maximum(encoded.lengths[order], 1)
        budget = _PREDICTION_TOKENS
        if batch_size is not None:
            budget = batch_size * int(lengths.max(initial=1))
        # Of no examples there is a batch too: it gives the outputs' shape.
        for part in cut_by_tokens(order, lengths, budget, limit) or [order]:
            yield part, self._call_function(encoded.batch(part))

    @property
    def _call_function(self) -> Any:
        # LoRA changes the computation; Keras resets its own functions in `compile` alone.
        rank, function = self.__dict__.get("_compiled_call", (None, None))
        if function is None or rank != self.encoder.lora_rank:
            spec = tf.TensorSpec([None, None], tf.int32)
            names = ("token_ids", "segment_ids", "padding_mask")
            signature = [{name: spec for name in names}]
            function = tf.function(self._call_on_large_batch, input_signature=signature)
            self.__dict__["_compiled_call"] = self.encoder.lora_rank, function
        return function

    def _call_on_large_batch(self, features: Batch) -> Any:
        self.encoder.large_batches = True
        try:
            return self(features, training=False)
        finally:
            self.encoder.large_batches = False

    def predict_on_features(self, features: Any, **kwargs: Any) -> Any:
        """Raw outputs, as `keras.Model.predict` gives them, of features or a dataset of them."""
        return super().predict(features, **kwargs)

    # Saving.

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "max_length": self.max_length,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> BertTask:
        values = dict(config)
        for part in ("encoder", "tokenizer"):
            values[part] = keras.saving.deserialize_keras_object(values[part], custom_objects)
        return cls(**values)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)
