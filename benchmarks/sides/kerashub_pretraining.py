"""KerasHub: a step of BertMaskedLM, which knows no next sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sides.books import Batches, Rows, tokens
from benchmarks.sides.kerashub import (
    create_backbone,
    create_optimizer,
    how,
    keras,
    keras_hub,
    tf,
)
from benchmarks.sides.protocol import Side
from benchmarks.sides.weights import read


def _create_model(work: Mapping[str, Any]) -> keras.Model:
    """BertMaskedLM with the work's weights, head included."""
    model = keras_hub.models.BertMaskedLM(backbone=create_backbone(work))
    _, weights = read(work["weights"])
    head, prefix = model.masked_lm_head, "cls.predictions"
    head._intermediate_dense.kernel.assign(weights[f"{prefix}.transform.dense.weight"].T)
    head._intermediate_dense.bias.assign(weights[f"{prefix}.transform.dense.bias"])
    head._intermediate_layer_norm.gamma.assign(weights[f"{prefix}.transform.LayerNorm.weight"])
    head._intermediate_layer_norm.beta.assign(weights[f"{prefix}.transform.LayerNorm.bias"])
    head._bias.assign(weights[f"{prefix}.bias"])
    return model


class Pretraining(Side):
    """A step of its own in a `tf.function`: what `fit` does without callbacks and metrics."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._batches = Batches(work)
        self._model = _create_model(work)
        self._optimizer = create_optimizer(self._model)
        self._step = tf.function(self._train, jit_compile=bool(work.get("jit_compile")))
        self.settings = (
            "mixed_bfloat16, tf.function with static shapes, masked words alone, masked positions "
            f"gathered, AdamW, clipped to norm 1, {how(work)}"
        )

    def _loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Mean loss of the masked words."""
        names = ("token_ids", "segment_ids", "padding_mask", "mask_positions")
        logits = self._model({name: batch[name] for name in names}, training=training)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            batch["mask_ids"], tf.cast(logits, tf.float32)
        )
        weights = batch["mask_weights"]
        return tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)

    def _train(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            loss = self._loss(batch, training=True)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        return loss

    def evidence(self) -> list[float]:
        # Its head adds its float32 bias to bfloat16 logits, which works inside a graph alone.
        loss = tf.function(self._loss)
        return [float(loss(_tensors(self._batches.first()), training=False))]

    def run(self, case: str) -> float:
        batch = self._batches.next()
        self._step(_tensors(batch)).numpy()
        return tokens(batch)


def _tensors(batch: Rows) -> dict[str, tf.Tensor]:
    return {name: tf.constant(array) for name, array in batch.items()}
