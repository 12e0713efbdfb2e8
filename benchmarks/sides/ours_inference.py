"""Ours: `TextClassifier.predict` on a list of strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip

import bert_keras as bk
from benchmarks.sides.protocol import Side
from benchmarks.sides.sentences import for_inference


class Inference(Side):
    """As a user calls it."""

    settings = "weights in bfloat16, TextClassifier.predict with its defaults"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._texts = for_inference(work)
        self._task = bk.tasks.TextClassifier.from_pretrained(
            work["weights"], max_length=work["max_length"], dtype="bfloat16"
        )

    def evidence(self) -> list[float]:
        answers = self._task.predict(self._texts[:: self.work["every"]])
        return [float(answer.label == "positive") for answer in answers]

    def run(self, case: str) -> float:
        return len(self._task.predict(self._texts))
