"""Ours: the encoder forward, and a training step of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import tensorflow as tf

import bert_keras as bk
from benchmarks.sides.encoder_work import full_batch, gigaflops
from benchmarks.sides.protocol import Side
from bert_keras.optimization import AdamW


def _features(work: Mapping[str, Any]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    ids, labels = full_batch(work)
    token_ids = tf.constant(ids)
    features = {
        "token_ids": token_ids,
        "segment_ids": tf.zeros_like(token_ids),
        "padding_mask": tf.ones_like(token_ids),
    }
    return features, tf.constant(labels)


class Forward(Side):
    """`BertEncoder` in a `tf.function`."""

    settings = "weights in bfloat16, tf.function with static shapes"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        encoder, _ = bk.load(work["weights"], dtype="bfloat16")
        self._features, _ = _features(work)
        self._forward = tf.function(lambda features: encoder(features, training=False))

    def evidence(self) -> list[float]:
        pooled = tf.cast(self._forward(self._features)["pooled_output"], tf.float32)
        return pooled[:, :8].numpy().ravel().tolist()

    def run(self, case: str) -> float:
        self._forward(self._features)["pooled_output"].numpy()
        return gigaflops(self.work)


class Training(Side):
    """`TextClassifier.update` in a `tf.function`."""

    settings = (
        "mixed_bfloat16, tf.function with static shapes, AdamW, clipped to norm 1; the last layer "
        "computes [CLS] alone, though all of the work's products are counted"
    )

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        task = bk.tasks.TextClassifier.from_pretrained(work["weights"], dtype="mixed_bfloat16")
        optimizer = AdamW(1e-5, clip_norm=1.0)
        optimizer.build(task.trainable_variables)
        task.compile(optimizer=optimizer, weighted_metrics=[])
        self._task, self._batch = task, _features(work)
        self._step = tf.function(lambda *batch: task.update(*batch).terms["loss"].total)

    def evidence(self) -> list[float]:
        return self._task(self._batch[0], training=False).numpy().ravel().tolist()

    def run(self, case: str) -> float:
        self._step(*self._batch).numpy()
        return gigaflops(self.work)
