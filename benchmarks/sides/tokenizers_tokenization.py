"""Hugging Face tokenizers on a list of strings."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tokenizers

from benchmarks.sides.protocol import Side
from benchmarks.sides.texts import rows, vocabulary


class Tokenization(Side):
    """All rows in one call; `encode_batch_fast` leaves the offsets out."""

    settings = "encode_batch_fast for ids, encode_batch with offsets; ids stay on the Rust side"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._rows, self._size = rows(work)
        tokenizer = tokenizers.BertWordPieceTokenizer(vocabulary(work), lowercase=True)._tokenizer
        self._functions: dict[str, Callable[..., Any]] = {
            "ids": tokenizer.encode_batch_fast,
            "offsets": tokenizer.encode_batch,
        }

    def evidence(self) -> list[float]:
        encodings = self._functions["ids"](self._rows, add_special_tokens=False)
        return [float(zlib.crc32(np.array(one.ids, np.int32).tobytes())) for one in encodings]

    def run(self, case: str) -> float:
        self._functions[case](self._rows, add_special_tokens=False)
        return self._size


class Call(Tokenization):
    """Single calls with one short string."""

    settings = "one call"

    def run(self, case: str) -> float:
        for _ in range(100):
            self._functions[case](["A short sentence."], add_special_tokens=False)
        return 100.0
