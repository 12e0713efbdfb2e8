"""Packed batches: several examples to a row, so that hardly anything is padding.

Examples of any lengths go together, so they may come in a truly random order. Attention stays
inside an example (block-diagonal): a packed batch gives the losses of a padded one.
"""

from __future__ import annotations

import bisect
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bert_keras.data.batches import Ints
from bert_keras.data.encoded import EncodedExamples

# Lengths of rows are multiples of this: whole vectors, and few different shapes.
_STEP = 8

PackedBatch: TypeAlias = tuple[
    dict[str, npt.NDArray[np.int32]], npt.NDArray[Any], npt.NDArray[np.float32]
]


def assign_rows(lengths: Ints, row_length: int) -> tuple[Ints, Ints, Ints]:
    """Puts examples into rows, the longest first, each where it leaves the least room.

    This is best-fit decreasing (Johnson 1974): at most 11/9 of the fewest rows
    possible, and 4 more.

    Args:
        lengths: `[n]`, none above `row_length`.

    Returns:
        For each example, int64 `[n]`: its row, the column it begins in, and which example of
        its row it is; rows and examples count from 0.
    """
    rows, starts, places = (np.zeros(len(lengths), np.int64) for _ in range(3))
    open_rows: list[tuple[int, int]] = []  # (room left, row), sorted
    counts: list[int] = []
    for index in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[index])
        found = bisect.bisect_left(open_rows, (length, 0))
        if found < len(open_rows):
            room, row = open_rows.pop(found)
        else:
            room, row = row_length, len(counts)
            counts.append(0)
        rows[index], starts[index], places[index] = row, row_length - room, counts[row]
        counts[row] += 1
        bisect.insort(open_rows, (room - length, row))
    return rows, starts, places


def best_row_length(lengths: Ints, sample: list[Ints]) -> int:
    """The length of rows that leaves the least padding.

    Args:
        lengths: `[N]`, of all examples.
        sample: some batches, indices of examples.

    Returns:
        A multiple of 8 between the longest example and twice that; the shortest of equals.
    """
    shortest = -(-int(lengths.max(initial=1)) // _STEP) * _STEP

    def positions(row_length: int) -> int:
        rows = (assign_rows(lengths[batch], row_length)[0] for batch in sample)
        return row_length * sum(int(row.max(initial=-1)) + 1 for row in rows)

    return min(range(shortest, 2 * shortest + 1, _STEP), key=positions)


def packed_batch(
    examples: EncodedExamples, labels: npt.NDArray[Any], indices: Ints, row_length: int
) -> PackedBatch:
    """Features, labels and weights of the examples at `indices`.

    Args:
        labels: `[N, …]`, of all examples.
        indices: at least one.
        row_length: none of the examples is longer.

    Returns:
        Features `token_ids`, `segment_ids`, `padding_mask`, `position_ids`, `sequence_ids`
        int32 `[rows, row_length]` and `cls_positions` int32 `[rows, per_row]`, -1 where a row
        has no further example; labels `[rows, per_row, …]`, 0 there; weights float32
        `[rows, per_row]`, 0 there and 1 elsewhere. `per_row` is the most examples of a row.
    """
    begins = examples.splits[indices]
    lengths = examples.splits[indices + 1] - begins
    rows, starts, places = assign_rows(lengths, row_length)
    shape = (int(rows.max()) + 1, row_length)
    # Of each token: its example, its place in the example and where it goes.
    owner = np.repeat(np.arange(len(indices)), lengths)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    cells = (rows * row_length + starts)[owner] + inside

    def laid_out(values: npt.NDArray[Any] | int) -> npt.NDArray[np.int32]:
        grid = np.zeros(shape, np.int32)
        grid.ravel()[cells] = values
        return grid

    features = {
        "token_ids": laid_out(examples.token_ids[begins[owner] + inside]),
        "segment_ids": laid_out(inside >= examples.first_lengths[indices][owner]),
        "padding_mask": laid_out(1),
        "position_ids": laid_out(inside),
        "sequence_ids": laid_out(places[owner] + 1),
        "cls_positions": np.full((shape[0], int(places.max()) + 1), -1, np.int32),
    }
    features["cls_positions"][rows, places] = starts
    weights = np.zeros(features["cls_positions"].shape, np.float32)
    weights[rows, places] = 1.0
    own_labels = np.zeros((*weights.shape, *labels.shape[1:]), labels.dtype)
    own_labels[rows, places] = labels[indices]
    return features, own_labels, weights
