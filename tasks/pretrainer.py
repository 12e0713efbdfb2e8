"""BertPretrainer: masked language model and next sentence prediction as one task model."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.errors import UserError
from bert_keras.layers.basic import weight_seed
from bert_keras.models.encoder import BertEncoder
from bert_keras.models.pretrainer import (
    INPUTS,
    TARGETS,
    PretrainingLoss,
    PretrainingNetwork,
    pretraining_losses,
)
from bert_keras.tasks.base import Batch, BertTask, open_with_tokenizer
from bert_keras.tasks.input_checks import kind_of
from bert_keras.tasks.inputs import Names, has_features
from bert_keras.tasks.stored_options import stored_length
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult, train_step


def _terms(losses: Mapping[str, PretrainingLoss]) -> dict[str, LossTerm]:
    return {name: LossTerm(one.total, one.weight, one.correct) for name, one in losses.items()}


def loss_weights(features: Batch) -> dict[str, tf.Tensor]:
    """The weight of each loss of a batch, known without running the model."""
    weights = {"mlm": tf.reduce_sum(tf.cast(features["mask_weights"], tf.float32))}
    if "next_sentence_labels" in features:
        default = tf.ones_like(features["next_sentence_labels"])
        given = features.get("next_sentence_weights", default)
        weights["nsp"] = tf.reduce_sum(tf.cast(given, tf.float32))
    return weights


@keras.saving.register_keras_serializable(package="bert_keras")
class BertPretrainer(BertTask):
    """BERT as it is pretrained; the loss is MLM + NSP, each a mean over the global batch.

    Google's losses are Σ(w·nll) / (Σw + 1e-5); here 1e-5 only replaces a smaller Σw, so that
    the mean is exact. A batch is a dict of features: those of `PretrainingNetwork`, `mask_ids`
    and `mask_weights`, and, with next sentence prediction, `next_sentence_labels` and,
    optionally, `next_sentence_weights`.

    Args:
        encoder: a BertEncoder, with a pooler for next sentence prediction.
        tokenizer: the BertTokenizer of its vocabulary.
        next_sentence: whether to train next sentence prediction too.
        max_length, seed: see `BertTask`.

    Example:

        pretrainer = BertPretrainer.from_pretrained("size:mini", tokenizer=tokenizer)
        pretrainer.compile()
        pretrainer.fit(dataset, steps_per_epoch=1000)   # a dataset of features
        pretrainer.save_pretrained("DIR")
    """

    # The published peak rate.
    peak_rate = 1e-4
    metrics_taken = "none"

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        next_sentence: bool = True,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "bert_pretrainer")
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        with weight_seed(seed):
            self.network = PretrainingNetwork(encoder, next_sentence)
        names = [f"mlm_{kind}" for kind in ("loss", "accuracy")]
        names += [f"nsp_{kind}" for kind in ("loss", "accuracy")] if next_sentence else []
        self._means = {name: keras.metrics.Mean(name) for name in names}
        self.built = True

    @property
    def next_sentence(self) -> bool:
        """Whether there is next sentence prediction."""
        return self.network.next_sentence is not None

    @classmethod
    def from_pretrained(
        cls,
        init: str | pathlib.Path,
        next_sentence: bool | None = None,
        max_length: int | None = None,
        seed: int = 0,
        dtype: Any = None,
        tokenizer: BertTokenizer | None = None,
        **encoder_options: Any,
    ) -> BertPretrainer:
        """From a checkpoint of any kind that `bert_keras.load` takes, with the heads it has.

        Args:
            init: a model directory, a Google TF1 directory, a KerasHub preset, or
                `size:NAME` for random weights (which needs `tokenizer`).
            next_sentence: by default, whether the checkpoint has a pooler.
            max_length: tokens per example; by default the checkpoint's own, or 128.
            seed: of new weights, dropout and shuffling.
            dtype: Keras dtype policy, such as "mixed_bfloat16".
            tokenizer: instead of the checkpoint's.
            encoder_options: of `BertEncoder`, such as `gradient_checkpointing`.

        Raises:
            UserError: the checkpoint is damaged or is not a BERT.
        """
        checkpoint, tokenizer = open_with_tokenizer(init, tokenizer, encoder_options)
        if next_sentence is None:
            next_sentence = checkpoint.has_pooler()
        encoder = checkpoint.encoder(
            next_sentence, dtype, seed=seed, announce=False, **encoder_options
        )
        longest = encoder.config.max_position_embeddings
        stored = stored_length(checkpoint) or min(128, longest)
        pretrainer = cls(encoder, tokenizer, next_sentence, max_length or stored, seed)
        heads = pretrainer._head_weights()
        for head, weights in heads.items():
            if checkpoint.has_head(head):
                checkpoint.fill_head(head, weights)
        checkpoint.announce(heads)
        return pretrainer

    def _head_weights(self) -> dict[str, dict[str, keras.Variable]]:
        heads = {"masked_lm": self.network.masked_lm.named_weights()}
        if self.network.next_sentence is not None:
            heads["next_sentence"] = self.network.next_sentence.named_weights()
        return heads

    def call(self, features: Batch, training: bool = False) -> dict[str, Any]:
        """Float32 logits; see `PretrainingNetwork`."""
        return self.network(features, training=training)

    def loss_terms(self, outputs: Any, labels: Any, weights: Any = None) -> StepResult:
        """Losses from the logits that `call` returned; `labels` is the batch of features."""
        return StepResult(_terms(pretraining_losses(outputs, labels)), outputs)

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        return labels

    # Training.

    def inputs_of(self, x: Any, name: str) -> Any:
        """As `BertTask.inputs_of`; anything but features is refused."""
        spec = x.element_spec if isinstance(x, tf.data.Dataset) else x
        inputs = spec[0] if isinstance(spec, tuple) and len(spec) == 1 else spec
        if not has_features(inputs):
            raise UserError(
                "BertPretrainer trains on features that hold their targets, without labels; "
                f"{name} is {kind_of(x)} of {kind_of(inputs)}"
            )
        if isinstance(x, tf.data.Dataset) and not isinstance(spec, tuple):
            return x.map(lambda features: (features,))
        return x

    def _check_given(self, x: Any, y: Any, sample_weight: Any, names: Names) -> None:
        for name, value in ((names.y, y), (names.sample_weight, sample_weight)):
            if value is not None:
                raise UserError(
                    "BertPretrainer trains on features that hold their targets, without labels; "
                    f"received {name}"
                )
        super()._check_given(x, y, sample_weight, names)

    def _needs_labels(self) -> bool:
        return False

    def compute_step(
        self, features: Batch, labels: Any = None, weights: Any = None, training: bool = False
    ) -> StepResult:
        """Loss terms of one batch; the logits are not kept, so `outputs` is None."""
        return StepResult(_terms(self.network.losses_of(features, training)), None)

    def update(
        self, features: Batch, labels: Any = None, weights: Any = None, micro_batches: int = 1
    ) -> StepResult:
        """One optimizer update on this replica's part of a batch, in so many passes."""
        used = {name: features[name] for name in (*INPUTS, *TARGETS) if name in features}
        if not self.next_sentence:
            used = {k: value for k, value in used.items() if not k.startswith("next_sentence")}

        def compute(features: Batch) -> StepResult:
            return self.compute_step(features, training=True)

        return train_step(
            self,
            self.optimizer,
            used,
            compute,
            self.seed,
            micro_batches=micro_batches,
            weights=loss_weights(used),
        )

    def _log(
        self, result: StepResult, features: Batch, labels: Any, weights: Any
    ) -> dict[str, Any]:
        for name, term in result.terms.items():
            self._means[f"{name}_loss"].update_state(term.mean(), term.weight)
            self._means[f"{name}_accuracy"].update_state(term.accuracy(), term.weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Loss and accuracy of each head since the last reset, and the sum of the losses."""
        logs = {name: mean.result() for name, mean in self._means.items()}
        losses = [value for name, value in logs.items() if name.endswith("_loss")]
        return {"loss": sum(losses), **logs}

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The logits of features; see `predict_on_features`."""
        if not isinstance(x, tf.data.Dataset) and not has_features(x):
            raise UserError(f"x is {kind_of(x)}; BertPretrainer answers features, not texts")
        options = {"verbose": verbose, "steps": steps, "callbacks": callbacks}
        return self.predict_on_features(x, batch_size=batch_size, **options)

    # Saving.

    def save_pretrained(self, directory: str | pathlib.Path) -> None:
        """Writes a Hugging Face directory, `BertForPreTraining`, or `BertForMaskedLM` where
        there is no next sentence prediction."""
        checkpoints.save_pretrained(
            directory,
            self.encoder.config,
            "BertForPreTraining" if self.next_sentence else "BertForMaskedLM",
            self.encoder,
            tokenizer=self.tokenizer,
            heads=self._head_weights(),
            extra_config={"bert_keras": {"max_length": self.max_length}},
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "next_sentence": self.next_sentence}
