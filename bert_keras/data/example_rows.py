"""Planned examples as rows of tokens, whole batches at a time, before any mask."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from bert_keras.data import packed_rows
from bert_keras.data.masking import VocabularyIds
from bert_keras.data.packed_rows import PackedRows
from bert_keras.data.sentence_pairs import SentencePairs

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Rows:
    """A batch of b rows of L tokens.

    Attributes:
        features: int32 `[b, L]` by name: `token_ids`, `segment_ids`, `padding_mask`, and of
            packed rows `position_ids` and `sequence_ids`.
        candidates: bool `[b, L]`, tokens of text.
        begins: bool `[b, L]`, the first token of text of each segment or piece.
        sources: int64 `[b, L]`, where in the window a token of text comes from.
        lengths: int64 `[b]`, tokens of each row, special ones counted.
    """

    features: dict[str, npt.NDArray[np.int32]]
    candidates: Flags
    begins: Flags
    sources: Ints
    lengths: Ints

    def word_starts(self, window_words: Flags | None, vocabulary: VocabularyIds) -> Flags:
        """Which tokens start a word, bool `[b, L]`: by the window's marks, or all without "##".

        What is left of a word that was cut off at the front is a word too.
        """
        if window_words is None:
            starts = ~vocabulary.continues[self.features["token_ids"]]
        else:
            starts = window_words[self.sources]
        return self.candidates & (starts | self.begins)


def rows_of_pairs(
    pairs: SentencePairs, tokens: npt.NDArray, seq_length: int, vocabulary: VocabularyIds
) -> Rows:
    """`[CLS] A [SEP] B [SEP]`, padded to `seq_length`; segment 1 is B and the [SEP] after it."""
    columns = np.arange(seq_length)
    first, second = pairs.first_lengths[:, None], pairs.second_lengths[:, None]
    in_first = (columns >= 1) & (columns <= first)
    in_second = (columns >= first + 2) & (columns < first + 2 + second)
    origins = np.where(
        columns <= first, pairs.first_starts[:, None] - 1, pairs.second_starts[:, None] - first - 2
    )
    candidates = in_first | in_second
    sources = np.where(candidates, origins + columns, 0)
    token_ids = np.where(candidates, tokens[sources], 0).astype(np.int32)
    token_ids[:, 0] = vocabulary.cls
    real = columns < first + second + 3
    token_ids[real & ~candidates & (columns > 0)] = vocabulary.sep
    features = {
        "token_ids": token_ids,
        "segment_ids": (real & (columns >= first + 2)).astype(np.int32),
        "padding_mask": real.astype(np.int32),
    }
    begins = candidates & ((columns == 1) | (columns == first + 2))
    lengths = pairs.first_lengths + pairs.second_lengths + 3
    return Rows(features, candidates, begins, sources, lengths)


def rows_of_pieces(
    plan: PackedRows,
    indices: npt.NDArray[np.integer],
    tokens: npt.NDArray,
    seq_length: int,
    vocabulary: VocabularyIds,
) -> Rows:
    """The rows at `indices` of a plan, each `[CLS] piece [SEP] [CLS] piece [SEP] …`."""
    pieces, owner = plan.pieces(indices)
    widths = plan.lengths[pieces] + packed_rows.SPECIALS
    ends = np.cumsum(widths)
    # Pieces as one line of places: the piece, its row and the place inside of each.
    piece = np.repeat(np.arange(len(pieces)), widths)
    inside = np.arange(len(piece)) - (ends - widths)[piece]
    row = owner[piece]
    row_lengths = np.bincount(owner, weights=widths, minlength=len(indices)).astype(np.int64)
    column = np.arange(len(piece)) - (np.cumsum(row_lengths) - row_lengths)[row]
    is_text = (inside > 0) & (inside < widths[piece] - 1)
    source = np.where(is_text, plan.starts[pieces][piece] + inside - 1, 0)
    special = np.where(inside == 0, vocabulary.cls, vocabulary.sep)
    first_piece = np.searchsorted(owner, np.arange(len(indices)))

    def spread(values: npt.NDArray) -> npt.NDArray:
        rows = np.zeros((len(indices), seq_length), values.dtype)
        rows[row, column] = values
        return rows

    features = {
        "token_ids": np.where(is_text, tokens[source], special),
        "segment_ids": np.zeros(len(piece)),
        "padding_mask": np.ones(len(piece)),
        "position_ids": inside,
        "sequence_ids": piece - first_piece[row] + 1,
    }
    return Rows(
        {name: spread(values.astype(np.int32)) for name, values in features.items()},
        spread(is_text),
        spread(inside == 1),
        spread(source),
        row_lengths,
    )
