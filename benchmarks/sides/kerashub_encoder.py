"""KerasHub: BertBackbone forward, and a training step of BertTextClassifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sides.encoder_work import full_batch, gigaflops
from benchmarks.sides.kerashub import (
    create_backbone,
    create_classifier,
    create_optimizer,
    features,
    how,
    tf,
)
from benchmarks.sides.protocol import Side


class Forward(Side):
    """BertBackbone in a `tf.function`."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        backbone = create_backbone(work)
        self._features = features(full_batch(work)[0])
        self._forward = tf.function(
            lambda batch: backbone(batch, training=False)["pooled_output"],
            jit_compile=bool(work.get("jit_compile")),
        )
        self.settings = f"mixed_bfloat16, tf.function with static shapes, {how(work)}"

    def evidence(self) -> list[float]:
        pooled = tf.cast(self._forward(self._features), tf.float32)
        return pooled[:, :8].numpy().ravel().tolist()

    def run(self, case: str) -> float:
        self._forward(self._features).numpy()
        return gigaflops(self.work)


class Training(Side):
    """A step of its own in a `tf.function`: what `fit` does without callbacks and metrics."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._model = create_classifier(work)
        self._optimizer = create_optimizer(self._model)
        ids, labels = full_batch(work)
        self._features, self._labels = features(ids), tf.constant(labels)
        self._step = tf.function(self._train, jit_compile=bool(work.get("jit_compile")))
        self.settings = (
            "mixed_bfloat16, tf.function with static shapes, AdamW, clipped to norm 1, " + how(work)
        )

    def _train(self, batch: dict[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            logits = tf.cast(self._model(batch, training=True), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        return loss

    def evidence(self) -> list[float]:
        logits = tf.cast(self._model(self._features, training=False), tf.float32)
        return logits.numpy().ravel().tolist()

    def run(self, case: str) -> float:
        self._step(self._features, self._labels).numpy()
        return gigaflops(self.work)
