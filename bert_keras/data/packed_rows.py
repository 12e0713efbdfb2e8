"""Rows packed full for masked words alone: nothing but the last row of a window has to be padded.

The sections of a window, in random order, are one stream of tokens, cut so that the pieces
`[CLS] tokens [SEP]` fill row after row. A piece belongs to one section; a section cut at the end
of a row goes on in the next one.
"""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bert_keras.data import random_bits
from bert_keras.data.window import Window

Ints: TypeAlias = npt.NDArray[np.int64]

# [CLS] and [SEP] of a piece.
SPECIALS = 2
# A row is rather padded than ended with a piece of fewer tokens of a longer section: they would
# have next to no context.
SHORTEST_PIECE = 4


@dataclasses.dataclass(frozen=True)
class PackedRows:
    """N rows of one or more pieces; places and lengths count tokens of the window.

    Attributes:
        splits: int64 `[N + 1]`, where the pieces of each row begin and end.
        starts, lengths: int64 `[pieces]`, the tokens of each piece, without [CLS] and [SEP].
    """

    splits: Ints
    starts: Ints
    lengths: Ints

    def __len__(self) -> int:
        return len(self.splits) - 1

    def pieces(self, rows: npt.NDArray[np.integer]) -> tuple[Ints, Ints]:
        """For the pieces of `rows` in order: their number, and which place in `rows` they have."""
        counts = self.splits[rows + 1] - self.splits[rows]
        owner = np.repeat(np.arange(len(rows)), counts)
        inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.splits[rows][owner] + inside, owner

    def take(self, rows: npt.NDArray[np.integer]) -> PackedRows:
        """The rows at `rows`, in that order."""
        pieces, owner = self.pieces(rows)
        counts = np.bincount(owner, minlength=len(rows))
        splits = np.concatenate([[0], np.cumsum(counts)])
        return PackedRows(splits, self.starts[pieces], self.lengths[pieces])

    def padding(self, seq_length: int) -> float:
        """Share of the rows' places that hold no token."""
        used = int(self.lengths.sum()) + SPECIALS * len(self.lengths)
        return 1 - used / max(1, len(self) * seq_length)


def plan_rows(window: Window, seq_length: int, seed: int, epoch: int, number: int) -> PackedRows:
    """Packs a window into rows of `seq_length`, every token once.

    Args:
        window: at least one section.
        seq_length: tokens of a row, 5 or more.
        seed, epoch, number: name the window's random numbers.

    Returns:
        The rows, in the order of the stream.
    """
    order_key = random_bits.key(seed, random_bits.Purpose.SECTION_ORDER, epoch, number)
    order = random_bits.permutation(order_key, len(window.documents))
    begins = window.sentences[window.sections[order]]
    sizes = window.sentences[window.sections[order + 1]] - begins
    # Rooms for tokens: in the row a section starts in, and in a fresh one.
    rooms, new_row = _rooms(sizes, seq_length)
    fresh = seq_length - SPECIALS
    firsts = np.minimum(rooms, sizes)
    further = -(-(sizes - firsts) // fresh)
    section = np.repeat(np.arange(len(order)), 1 + further)
    turn = np.arange(len(section)) - np.repeat(np.cumsum(1 + further) - 1 - further, 1 + further)
    before = np.where(turn == 0, 0, firsts[section] + (turn - 1) * fresh)
    lengths = np.where(turn == 0, firsts[section], np.minimum(fresh, sizes[section] - before))
    opens_row = (turn > 0) | new_row[section]
    splits = np.append(np.flatnonzero(opens_row), len(opens_row))
    return PackedRows(splits, begins[section] + before, lengths)


def _rooms(sizes: Ints, seq_length: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """For each section of the stream: tokens that fit in the row it starts in; is that a new row.

    One section after the other, as each depends on the one before; what is carried along is the
    number of places left in the row.
    """
    fresh = seq_length - SPECIALS
    rooms, opens = [], []
    room = -1
    for size in sizes.tolist():
        new = room < min(size, SHORTEST_PIECE)
        if new:
            room = fresh
        rooms.append(room)
        opens.append(new)
        left = room - size if size <= room else -(size - room) % fresh
        room = left - SPECIALS
    return np.array(rooms, np.int64), np.array(opens, bool)
