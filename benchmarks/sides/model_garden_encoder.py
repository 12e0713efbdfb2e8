"""Model Garden: BertEncoderV2 forward, and a training step of BertClassifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sides.encoder_work import full_batch, gigaflops
from benchmarks.sides.model_garden import (
    assign,
    create_encoder,
    create_optimizer,
    features,
    models,
    read,
    tf,
)
from benchmarks.sides.protocol import Side


class Forward(Side):
    """BertEncoderV2 in a `tf.function`."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        encoder = create_encoder(work)
        self._features = features(full_batch(work)[0])
        encoder(self._features)
        assign(encoder, read(work["weights"])[1])
        jit = bool(work.get("jit_compile"))
        self._forward = tf.function(
            lambda batch: encoder(batch, training=False)["pooled_output"], jit_compile=jit
        )
        self.settings = f"mixed_bfloat16, tf.function with static shapes, jit_compile={jit}"

    def evidence(self) -> list[float]:
        pooled = tf.cast(self._forward(self._features), tf.float32)
        return pooled[:, :8].numpy().ravel().tolist()

    def run(self, case: str) -> float:
        self._forward(self._features).numpy()
        return gigaflops(self.work)


class Training(Side):
    """BertClassifier's step in a `tf.function`."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._model = models.BertClassifier(create_encoder(work), num_classes=2)
        assign(self._model, read(work["weights"])[1])
        self._optimizer = create_optimizer()
        ids, labels = full_batch(work)
        self._features, self._labels = features(ids), tf.constant(labels)
        jit = bool(work.get("jit_compile"))
        self._step = tf.function(self._train, jit_compile=jit)
        self.settings = (
            "mixed_bfloat16, tf.function with static shapes, AdamWeightDecay, clipped to norm 1, "
            f"jit_compile={jit}"
        )

    def _train(self, batch: dict[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            logits = tf.cast(self._model(batch, training=True), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, variables)
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def evidence(self) -> list[float]:
        logits = tf.cast(self._model(self._features, training=False), tf.float32)
        return logits.numpy().ravel().tolist()

    def run(self, case: str) -> float:
        self._step(self._features, self._labels).numpy()
        return gigaflops(self.work)
