"""Random words, and runs of words, that fill a budget of tokens without one being cut."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bert_keras.data import random_bits

Flags: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]

# Draws of the size come after those of the order of each size.
_SIZE_DRAW = 0


def choose_spans(
    candidates: Flags, starts: Flags, budget: Ints, max_words: int, keys: random_bits.Bits
) -> tuple[Flags, npt.NDArray[np.int32]]:
    """Chooses spans of 1 … `max_words` neighbouring words, shorter ones more often.

    Spans come in random order, one of n words before others with weight 1 / n. One that would
    exceed the budget or overlap with an earlier one is skipped, never cut.

    Args:
        candidates: bool `[b, L]`, tokens that belong to words.
        starts: bool `[b, L]`, the first token of each word.
        budget: `[b]`, most tokens to choose in a row.
        keys: uint64 `[b]`, the rows' random numbers.

    Returns:
        bool `[b, L]`, the tokens chosen, and int32 `[b, L]`, where the span of each starts.
    """
    spans = _Spans(candidates, starts, max_words, keys)
    chosen = np.zeros(candidates.shape, bool)
    owners = np.zeros(candidates.shape, np.int32)
    left = budget.copy()
    # Rows still at work; the place of each in the spans of each size; sizes that are too long.
    rows = np.arange(len(budget))
    places = np.zeros((len(budget), max_words), np.int64)
    columns = np.arange(candidates.shape[1])
    weights = 1.0 / np.arange(1, max_words + 1)
    while True:
        # A span of n words has n tokens at least.
        open_sizes = (places[rows] < spans.counts[rows]) & (
            np.arange(1, max_words + 1) <= left[rows, None]
        )
        alive = open_sizes.any(axis=1)
        rows, open_sizes = rows[alive], open_sizes[alive]
        if not len(rows):
            return chosen, owners
        size = _draw_size(open_sizes * weights, keys[rows], places[rows].sum(axis=1))
        begin, end = spans.at(rows, size, places[rows, size])
        places[rows, size] += 1
        inside = (columns >= begin[:, None]) & (columns < end[:, None])
        fits = (end - begin <= left[rows]) & ~(inside & chosen[rows]).any(axis=1)
        taken = rows[fits]
        chosen[taken] |= inside[fits]
        owners[taken] = np.where(inside[fits], begin[fits, None], owners[taken])
        left[taken] -= (end - begin)[fits]


def _draw_size(weights: npt.NDArray[np.float64], keys: random_bits.Bits, turn: Ints) -> Ints:
    """A size less one for each row, by the weights `[b, sizes]`; `turn` counts the row's draws."""
    if weights.shape[1] == 1:
        return np.zeros(len(weights), np.int64)
    bounds = np.cumsum(weights, axis=1)
    drawn = random_bits.uniform(random_bits.bits(keys, _SIZE_DRAW, turn)) * bounds[:, -1]
    return (drawn[:, None] >= bounds).sum(axis=1)


class _Spans:
    """All spans of a batch, those of each size in random order.

    Attributes:
        counts: int64 `[b, sizes]`, spans of each size.
    """

    def __init__(self, candidates: Flags, starts: Flags, max_words: int, keys: random_bits.Bits):
        ends, exists = _ends(candidates, starts, max_words)
        self._ends = ends
        self.counts = exists.sum(axis=2).T
        orders = [
            random_bits.distinct(random_bits.bits(keys, size + 1), exists[size])
            for size in range(max_words)
        ]
        # Only as many as there are; the rest of a row is never asked for.
        self._order = [np.argsort(order, axis=1) for order in orders]

    def at(self, rows: Ints, sizes: Ints, places: Ints) -> tuple[Ints, Ints]:
        """Where the spans of those sizes (less one) at those places begin and end, `[rows]`."""
        begin = np.stack([order[rows, places] for order in self._order], axis=1)
        begin = begin[np.arange(len(rows)), sizes]
        return begin, self._ends[sizes, rows, begin]


def _ends(candidates: Flags, starts: Flags, max_words: int) -> tuple[Ints, Flags]:
    """For each size and position: where a span that starts there would end, and whether one does.

    Both are `[sizes, b, L]`. A span does not reach over a token that is no candidate.
    """
    length = candidates.shape[1]
    columns = np.arange(length)
    # The next place, from each on, where no word goes on.
    breaks = np.where(starts | ~candidates, columns, length)
    following = np.minimum.accumulate(breaks[:, ::-1], axis=1)[:, ::-1]
    after = np.full(candidates.shape, length)
    after[:, :-1] = following[:, 1:]
    ends, exists = [after], [starts]
    for _ in range(1, max_words):
        next_word = np.minimum(ends[-1], length - 1)
        goes_on = np.take_along_axis(starts, next_word, axis=1) & (ends[-1] < length)
        exists.append(exists[-1] & goes_on)
        ends.append(np.take_along_axis(after, next_word, axis=1))
    return np.stack(ends), np.stack(exists)
