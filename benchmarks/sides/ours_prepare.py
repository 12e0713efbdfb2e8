"""Ours: `prepare`, text into a tokenized corpus store."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip

import bert_keras as bk
from benchmarks.sides.protocol import Side, threads
from bert_keras.data.prepare import PrepareSettings, prepare


class Prepare(Side):
    """Sentences found and tokenized: what all epochs' examples are drawn from."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._tokenizer = bk.BertTokenizer(work["vocab"], lowercase=True)
        self._size = pathlib.Path(work["text"]).stat().st_size / 1e6
        self.settings = (
            f"prepare with {threads()} thread(s), from plain text: finds the sentences itself"
        )

    def run(self, case: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            store = pathlib.Path(folder, "store")
            prepare(self.work["text"], self._tokenizer, store, PrepareSettings(), threads())
        return self._size
