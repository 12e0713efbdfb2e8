"""Ours: a servable in the C++ session, on short texts beside a long one."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip

import bert_keras as bk
from benchmarks.sides.protocol import Side
from bert_keras.export import saved_model
from bert_keras.export.capi import CppSession

# "the" is one token; [CLS] and [SEP] are counted.
_WORD = "the "


class ServedLengths(Side):
    """`requests` are the batches of a run, each a list of texts' lengths in tokens."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        task = bk.tasks.TextClassifier.from_pretrained(work["weights"], dtype=work["precision"])
        self._folder = tempfile.TemporaryDirectory()
        path = saved_model.save(task, pathlib.Path(self._folder.name) / "model" / "1")
        self._session = CppSession(path)
        self._requests = [
            [_WORD * (length - 2) for length in request] for request in work["requests"]
        ]
        self.settings = f"{work['precision']}, the C++ session of TensorFlow's package"

    def run(self, case: str) -> float:
        for _ in range(self.work["repetitions"]):
            for texts in self._requests:
                self._session.run("serving_default", {"text": texts})
        return float(self.work["repetitions"])
