"""Ours: a classifier's forward pass on batches of mixed lengths, and of one length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import numpy as np
import tensorflow as tf

import bert_keras as bk
from benchmarks.sides.protocol import Side
from benchmarks.sides.sentences import for_inference
from bert_keras.data.encoded import EncodedExamples


def _of_one_length(encoded: EncodedExamples) -> EncodedExamples:
    """The same tokens in rows as long as the mean example; the remainder is left out."""
    length = round(len(encoded.token_ids) / len(encoded))
    count = len(encoded.token_ids) // length
    return EncodedExamples(
        token_ids=encoded.token_ids[: count * length],
        splits=np.arange(count + 1) * length,
        first_lengths=np.full(count, length, np.int32),
    )


class Padding(Side):
    """`lengths` says which: "mixed", in the file's order, or "equal". Amounts are real tokens."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        task = bk.tasks.TextClassifier.from_pretrained(work["weights"], dtype="mixed_bfloat16")
        encoded = task.encode(for_inference(work))
        if work["lengths"] == "equal":
            encoded = _of_one_length(encoded)
        starts = range(0, len(encoded), work["batch"])
        stops = [min(start + work["batch"], len(encoded)) for start in starts]
        self._batches = [
            encoded.batch(np.arange(start, stop)) for start, stop in zip(starts, stops, strict=True)
        ]
        spec = tf.TensorSpec([None, None], tf.int32)
        self._forward = tf.function(
            lambda features: task(features, training=False),
            input_signature=[dict.fromkeys(self._batches[0], spec)],
        )
        self._tokens = float(len(encoded.token_ids))
        places = sum(batch["token_ids"].size for batch in self._batches)
        self.settings = (
            f"mixed_bfloat16, batches of {work['batch']} padded to their longest; "
            f"{1 - self._tokens / places:.0%} of the places are padding"
        )

    def run(self, case: str) -> float:
        for batch in self._batches:
            self._forward(batch).numpy()
        return self._tokens
