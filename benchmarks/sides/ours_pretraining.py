"""Ours: a step of BertPretrainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import tensorflow as tf

import bert_keras as bk
from benchmarks.sides.books import Batches, Rows, tokens
from benchmarks.sides.protocol import Side
from bert_keras.optimization import AdamW


def _tensors(batch: Rows) -> dict[str, tf.Tensor]:
    return {name: tf.constant(array) for name, array in batch.items()}


class Pretraining(Side):
    """The train step of `bert-keras pretrain` in a `tf.function`, on rows from memory."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._batches = Batches(work)
        first = self._batches.first()
        self._task = bk.tasks.BertPretrainer.from_pretrained(
            work["weights"],
            next_sentence="next_sentence_labels" in first,
            max_length=first["token_ids"].shape[1],
            dtype="mixed_bfloat16",
        )
        optimizer = AdamW(1e-5, clip_norm=1.0)
        self._task.compile(optimizer)
        optimizer.build(self._task.trainable_variables)
        self._step = tf.function(self._train)
        heads = "masked words" + (" and next sentences" if self._task.next_sentence else "")
        self.settings = (
            f"mixed_bfloat16, tf.function with static shapes, {heads}, masked positions gathered, "
            "AdamW, clipped to norm 1"
        )

    def _train(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return self._task.update(batch).terms["mlm"].total

    def evidence(self) -> list[float]:
        terms = self._task.compute_step(_tensors(self._batches.first()), training=False).terms
        return [float(terms[name].mean()) for name in ("mlm", "nsp") if name in terms]

    def run(self, case: str) -> float:
        batch = self._batches.next()
        self._step(_tensors(batch)).numpy()
        return tokens(batch)
