"""Words as tokens: windows of whole words, and the token that stands for each word."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bert_keras.data.encoded import EncodedExamples

Ints = npt.NDArray[np.int64]

# Words tokenized at a time.
_CHUNK = 65536
# The share of a window that the next one shows again, so that no word lacks its neighbours.
OVERLAP = 4


class WordTokenizer(Protocol):
    """What is needed of a `BertTokenizer`."""

    @property
    def cls_id(self) -> int: ...

    @property
    def sep_id(self) -> int: ...

    @property
    def unk_id(self) -> int: ...

    def tokenize(self, texts: Any) -> Any: ...


@dataclasses.dataclass(frozen=True)
class WordWindows:
    """N sentences of W words in all, in M windows that a model takes.

    Attributes:
        inputs: M rows `[CLS] pieces [SEP]`, one for a sentence, more for one that is too long.
        tokens: `[W]`, for each word the place of its first piece in `inputs.token_ids`; of the
            windows that show the word, that in which it stands farthest from the ends.
        splits: `[N + 1]`, where the words of each sentence begin and end.
    """

    inputs: EncodedExamples
    tokens: Ints
    splits: Ints


def encode_words(
    tokenizer: WordTokenizer, sentences: Sequence[Sequence[str]], max_length: int
) -> WordWindows:
    """Tokenizes words one by one; a word is never cut.

    A word without pieces, or with more than a window has room for, becomes [UNK], so that every
    word has a token. Sentences of more than `max_length` tokens, [CLS] and [SEP] counted, become
    windows that share a quarter of their length.
    """
    words = [word for sentence in sentences for word in sentence]
    splits = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
    pieces, ends = _pieces(tokenizer, words, max_length - 2)
    windows = [
        window
        for first, stop in zip(splits[:-1], splits[1:], strict=True)
        for window in _windows(ends, int(first), int(stop), max_length - 2)
    ]
    rows = [
        np.concatenate([[tokenizer.cls_id], pieces[ends[first] : ends[stop]], [tokenizer.sep_id]])
        for first, stop, _ in windows
    ]
    lengths = np.array([len(row) for row in rows], np.int64)
    row_splits = np.concatenate([[0], np.cumsum(lengths)])
    tokens, before = np.zeros(len(words), np.int64), 0
    for row, (first, _, own_stop) in enumerate(windows):
        own = ends[before:own_stop]
        tokens[before:own_stop] = row_splits[row] + 1 + own - ends[first]
        before = own_stop
    token_ids = np.concatenate([np.zeros(0, np.int64), *rows]).astype(np.int32)
    inputs = EncodedExamples(token_ids, row_splits, lengths.astype(np.int32))
    return WordWindows(inputs, tokens, splits)


def _pieces(tokenizer: WordTokenizer, words: list[str], room: int) -> tuple[Ints, Ints]:
    """The pieces of all words on end, and `[W + 1]`, where each word begins in them."""
    ids, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(words), _CHUNK):
        ragged = tokenizer.tokenize(words[start : start + _CHUNK])
        own, sizes = ragged.values.numpy(), np.diff(ragged.row_splits.numpy())
        fits = (sizes > 0) & (sizes <= room)
        kept_sizes = np.where(fits, sizes, 1)
        pieces = np.full(kept_sizes.sum(), tokenizer.unk_id, np.int64)
        pieces[np.repeat(fits, kept_sizes)] = own[np.repeat(fits, sizes)]
        ids.append(pieces)
        counts.append(kept_sizes)
    return np.concatenate(ids), np.concatenate([[0], np.cumsum(np.concatenate(counts))])


def _windows(ends: Ints, first: int, stop: int, room: int) -> list[tuple[int, int, int]]:
    """Windows over the words from `first` to before `stop`: where each begins and ends, and
    where the words end that it is the one to answer for."""
    windows: list[tuple[int, int, int]] = []
    while True:
        end = min(stop, int(np.searchsorted(ends, ends[first] + room, side="right")) - 1)
        if end == stop:
            return [*windows, (first, stop, stop)]
        # The next window begins where the overlap is small enough and one more word fits in.
        shared = max(ends[end] - room // OVERLAP, ends[end + 1] - room, ends[first] + 1)
        following = int(np.searchsorted(ends, shared, side="left"))
        middle = (ends[following] + ends[end]) / 2
        centres = (ends[following:end] + ends[following + 1 : end + 1]) / 2
        windows.append((first, end, following + int(np.searchsorted(centres, middle))))
        first = following
