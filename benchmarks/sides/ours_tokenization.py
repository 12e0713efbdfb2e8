"""Ours: BertTokenizer on a list of strings."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import numpy as np

import bert_keras as bk
from benchmarks.sides.protocol import Side
from benchmarks.sides.texts import rows, vocabulary


class Tokenization(Side):
    """Ragged ids, or ids with offsets, of all rows in one call."""

    settings = "BertTokenizer called eagerly with the whole list; ragged tensors come back"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._rows, self._size = rows(work)
        tokenizer = bk.BertTokenizer(vocabulary(work), lowercase=True)
        self._functions = {"ids": tokenizer.tokenize, "offsets": tokenizer.offsets}

    def evidence(self) -> list[float]:
        ids = self._functions["ids"](self._rows).to_list()
        return [float(zlib.crc32(np.array(row, np.int32).tobytes())) for row in ids]

    def run(self, case: str) -> float:
        self._functions[case](self._rows)
        return self._size


class Call(Tokenization):
    """Single calls with one short string."""

    settings = "one call of BertTokenizer, eager"

    def run(self, case: str) -> float:
        for _ in range(100):
            self._functions[case](["A short sentence."])
        return 100.0
