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
from bert_keras.data.batches import Ints
from bert_keras.data.encoded import EncodedExamples, encode
from bert_keras.errors import UserError
from bert_keras.models.encoder import BertEncoder
from bert_keras.optimization import layer_decay_factors
from bert_keras.optimization.layer_decay import RateFactors
from bert_keras.tasks import batched_outputs, graph_checks, input_checks, keras_arguments
from bert_keras.tasks.inputs import (
    ARGUMENTS,
    VALIDATION,
    Names,
    as_dataset,
    check_given,
    count_of,
    has_features,
    is_text,
    split_texts,
    text_dataset,
    text_lists,
)
from bert_keras.tasks.recipe import chosen_optimizer, lay_out_schedule
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import StepResult, train_step

Batch = Mapping[str, tf.Tensor]

# AutoGraph would wrap an error of one line in a stack trace of ten.
_untouched = tf.autograph.experimental.do_not_convert


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
    # The recipe's learning rate where `compile` is not given one.
    peak_rate = 5e-5
    # Metrics that `compile` takes: none, objects, or names such as "accuracy" too.
    metrics_taken = "objects"

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
        optimizer: Any = None,
        loss: None = None,
        loss_weights: None = None,
        metrics: list[Any] | None = None,
        weighted_metrics: list[Any] | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = False,
        auto_scale_loss: bool = True,
        **recipe: Any,
    ) -> None:
        """As `keras.Model.compile`; without an optimizer, BERT's recipe for fine-tuning.

        Args:
            optimizer: an optimizer of Keras or its name, instead of the recipe.
            loss, loss_weights: not to be given: the loss is the task's.
            metrics, weighted_metrics: of labels and outputs as `loss_terms` takes them; weighted
                ones by default those of `default_metrics`.
            recipe: `learning_rate`, `warmup_ratio`, `weight_decay`, `clip_norm` and
                `layer_decay`; see `recipe_optimizer`.

        Raises:
            TypeError: an argument is unknown.
            UserError: a loss is given, an argument of the recipe beside an optimizer, or a value
                that is none of its argument.
            ValueError: the precision is float16, whose gradients vanish without a scaling of
                the loss; bfloat16 needs none.
        """
        keras_arguments.check_loss(loss, loss_weights)
        name = type(self).__name__
        keras_arguments.check_metrics(name, metrics, weighted_metrics, self.metrics_taken)
        if self.compute_dtype == "float16":
            raise ValueError("training in float16 is not supported: use mixed_bfloat16")
        if weighted_metrics is None:
            weighted_metrics = self.default_metrics()
        super().compile(
            optimizer=chosen_optimizer(optimizer, self.peak_rate, self.rate_factors, recipe),
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
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

    # What a user passes.

    def inputs_of(self, x: Any, name: str) -> Any:
        """Returns what `fit` and `evaluate` are given as x in one form, checked.

        A dataset has tuples (x,), (x, y) or (x, y, sample_weight) then; texts are a list of
        strings or a tuple of two; features stay as they are.

        Args:
            x: texts, features, or a dataset of batches of either.
            name: the argument, for messages.

        Raises:
            UserError: `x` is something else.
        """
        if isinstance(x, tf.data.Dataset):
            return text_dataset(x, name)
        return x if has_features(x) else text_lists(x, name)

    def labels_of(self, y: Any, x: Any, name: str) -> Any:
        """Returns the labels of the texts `x` as an array or a list, checked.

        Raises:
            UserError: one is no label; names its place and value.
        """
        return np.asarray(input_checks.column(y))

    def check_inputs(self, x: Any, name: str) -> None:
        """Raises a UserError where the model does not take texts of this kind.

        `x` is texts in the form of `inputs_of`, or their specification in a dataset.
        """

    def _needs_labels(self) -> bool:
        """Returns whether there is no loss without labels."""
        return True

    def _check_given(self, x: Any, y: Any, sample_weight: Any, names: Names) -> None:
        """Raises a UserError where there is nothing to learn from; `x` is that of `inputs_of`."""
        check_given(x, y, sample_weight, names, self._needs_labels())

    def _feature_dataset(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        shuffle: bool,
        names: Names = ARGUMENTS,
    ) -> tf.data.Dataset:
        x = self.inputs_of(x, names.x)
        self._check_given(x, y, sample_weight, names)
        if not isinstance(x, tf.data.Dataset):
            y, sample_weight = self._checked_targets(x, y, sample_weight, names)
        seed = self.seed if shuffle else None
        dataset = as_dataset(x, y, sample_weight, input_checks.batch_size(batch_size), seed)
        inputs = dataset.element_spec[0]
        if not is_text(inputs):
            return dataset.map(_untouched(self._label_features))
        self.check_inputs(inputs, names.x)
        preprocess = _untouched(self._preprocess)
        dataset = dataset.map(preprocess, tf.data.AUTOTUNE, deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _checked_targets(self, x: Any, y: Any, weights: Any, names: Names) -> tuple[Any, Any]:
        """Returns the labels and the weights of the examples `x`, None where they have none."""
        count = count_of(x)
        if y is not None:
            y = np.asarray(y) if has_features(x) else self.labels_of(y, x, names.y)
            input_checks.check_count(len(y), names.y, count, names.x)
        return y, input_checks.example_weights(weights, names.sample_weight, count, names.x)

    def _preprocess(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        if sample_weight is not None:
            sample_weight = graph_checks.weights(sample_weight)
        return self.preprocess(x, y, sample_weight)

    def _label_features(self, features: Any, *rest: Any) -> Any:
        if not rest:
            return (features,)
        labels, *weights = rest
        return features, self.preprocess_labels(labels), *map(graph_checks.weights, weights)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`, on strings or on features.

        Args:
            x: a `tf.data.Dataset` of (texts, labels), (texts, labels, weights), or of features
                in place of texts; or texts as a list, an array, a Series, a DataFrame with one
                column, or as a tuple (texts, second texts).
            y, sample_weight: labels and weights, where `x` is not a dataset.
            validation_split: not to be given: pass `validation_data`.
            steps_per_epoch: needed for a dataset of unknown size.

        Raises:
            UserError: texts, labels or weights are not such; names the argument, the place and
                the value.
            ValueError: the number of steps is not known and the recipe needs it.
        """
        keras_arguments.check_compiled(self, "fit")
        keras_arguments.check_split(validation_split)
        x = self.inputs_of(x, ARGUMENTS.x)
        self._check_given(x, y, sample_weight, ARGUMENTS)
        with self.distribute_strategy.scope():
            self._set_up(x, y)
        dataset = self._feature_dataset(x, y, sample_weight, batch_size, shuffle)
        if lay_out_schedule(self.optimizer, dataset, epochs - initial_epoch, steps_per_epoch):
            # The schedule's constants are part of the compiled step.
            self.train_function = None
        if validation_data is not None:
            given = keras_arguments.split_validation(validation_data)
            size = validation_batch_size or batch_size
            validation_data = self._feature_dataset(*given, size, False, VALIDATION)
        return super().fit(
            dataset,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            # What is not a dataset is shuffled by now.
            shuffle=False,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    def _set_up(self, x: Any, y: Any) -> None:
        """Hook of `fit` before anything else: what depends on the training data.

        `x` is in the form of `inputs_of`, `y` as it was given.
        """

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As `keras.Model.evaluate`, on strings or on features; see `fit`."""
        keras_arguments.check_compiled(self, "evaluate")
        # What `fit` evaluates is prepared already: Keras keeps it and says so.
        if not kwargs.get("_use_cached_eval_dataset"):
            x = self._feature_dataset(x, y, sample_weight, batch_size, shuffle=False)
        return super().evaluate(
            x,
            verbose=verbose,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
            **kwargs,
        )

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
        """Tokenizes lists of strings, truncated to `max_length`.

        Raises:
            UserError: an element is not a string, or the lists differ in length.
        """
        strings = input_checks.strings(texts, "texts")
        others = None if pairs is None else input_checks.strings(pairs, "pairs")
        if others is not None:
            input_checks.check_count(len(others), "pairs", len(strings), "texts")
        return encode(self.tokenizer, strings, others, self.max_length)

    def raw_outputs(self, encoded: EncodedExamples, batch_size: int | None = None) -> np.ndarray:
        """What `call` returns, float32 `[N, …]`, of tokenized examples in their order.

        Examples of similar length are run together, so little is spent on padding: batches of
        `batch_size` examples, or of about so many tokens as run fastest.
        """
        return batched_outputs.in_order(self.batch_outputs(encoded, batch_size))

    def token_outputs(
        self, encoded: EncodedExamples, batch_size: int | None = None
    ) -> list[np.ndarray]:
        """As `raw_outputs`, where `call` returns `[batch, length, …]`: for each example an array
        `[its length, …]`, without the padding."""
        return batched_outputs.without_padding(self.batch_outputs(encoded, batch_size), encoded)

    def batch_outputs(
        self, encoded: EncodedExamples, batch_size: int | None = None
    ) -> Iterator[tuple[Ints, Any]]:
        """What `call` returns for each batch of `raw_outputs`, with the examples that are in it."""
        for part in batched_outputs.batches_of(encoded, batch_size):
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
