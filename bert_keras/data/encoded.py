"""Tokenized examples in memory, and padded batches of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Rows tokenized at a time: enough to keep the tokenizer's operations busy.
_CHUNK = 2048


def rounded_length(length: int) -> int:
    """The next of sixteen lengths to an octave, at most a sixteenth more than `length` (from 1)."""
    step = 1 << max(0, length.bit_length() - 5)
    return -(-length // step) * step


@dataclasses.dataclass(frozen=True)
class EncodedExamples:
    """N tokenized examples without padding.

    Attributes:
        token_ids: int32, all examples one after the other.
        splits: int64 `[N + 1]`, where each example begins and ends in `token_ids`.
        first_lengths: int32 `[N]`, how many tokens of each belong to segment 0.
    """

    token_ids: npt.NDArray[np.int32]
    splits: npt.NDArray[np.int64]
    first_lengths: npt.NDArray[np.int32]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each example, `[N]`."""
        return np.diff(self.splits)

    def __len__(self) -> int:
        return len(self.first_lengths)

    @functools.cached_property
    def longest(self) -> int:
        """Tokens of the longest example, at least 1."""
        return int(self.lengths.max(initial=1))

    def shape(self, indices: npt.NDArray[np.integer], rounded: bool = False) -> tuple[int, int]:
        """Rows and columns of `batch`, without making it."""
        indices = np.asarray(indices)
        length = int((self.splits[indices + 1] - self.splits[indices]).max(initial=1))
        return len(indices), min(rounded_length(length), self.longest) if rounded else length

    def batch(
        self, indices: npt.NDArray[np.integer], rounded: bool = False
    ) -> dict[str, npt.NDArray[np.int32]]:
        """Features of the examples at `indices`, int32 `[len(indices), length]`.

        `length` is that of the longest of them; `rounded`, so that few lengths occur, it is the
        `rounded_length` of that, but no more than the longest example of all has.
        """
        starts = self.splits[indices]
        lengths = self.splits[np.asarray(indices) + 1] - starts
        columns = np.arange(self.shape(indices, rounded)[1])
        real = columns < lengths[:, None]
        token_ids = np.zeros(real.shape, np.int32)
        token_ids[real] = self.token_ids[(starts[:, None] + columns)[real]]
        second = real & (columns >= self.first_lengths[indices][:, None])
        return {
            "token_ids": token_ids,
            "segment_ids": second.astype(np.int32),
            "padding_mask": real.astype(np.int32),
        }


def encode(
    tokenize: Callable[..., Mapping[str, Any]],
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    max_length: int,
) -> EncodedExamples:
    """Tokenizes texts, or pairs of texts, with a `BertTokenizer`."""
    tokens, lengths, first_lengths = [], [], []
    for start in range(0, len(texts), _CHUNK):
        part = slice(start, start + _CHUNK)
        features = tokenize(
            list(texts[part]),
            None if pairs is None else list(pairs[part]),
            max_length=max_length,
        )
        mask = np.asarray(features["padding_mask"], bool)
        tokens.append(np.asarray(features["token_ids"])[mask])
        lengths.append(mask.sum(axis=1))
        first_lengths.append((mask & (np.asarray(features["segment_ids"]) == 0)).sum(axis=1))
    empty = np.zeros(0, np.int64)
    return EncodedExamples(
        token_ids=np.concatenate([empty, *tokens]).astype(np.int32),
        splits=np.concatenate([[0], np.cumsum(np.concatenate([empty, *lengths]))]).astype(np.int64),
        first_lengths=np.concatenate([empty, *first_lengths]).astype(np.int32),
    )
