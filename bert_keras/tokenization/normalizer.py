"""In-graph text normalisation by tables over code points, with source positions.

All rows are joined and taken as one vector of bytes. Runs of plain ASCII are copied; every
other character is decoded (UTF-8 by the rules of Unicode's table 3-7, so that what Python's
`errors="ignore"` drops is dropped here) and replaced by its entry of `code_points.Tables`.
Only constants and core ops are used: no lookup table, no ICU, no locale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bert_keras.tokenization import code_points as cp
from bert_keras.tokenization import context

MAX_WORD_CHARS = 200

_shifted = tf.bitwise.right_shift

# Rows that need no table: printable ASCII and white space, no word over 200 characters.
# Lower-casing keeps their length, so positions in them are positions in the source.
PLAIN_ROW = (
    rf"(?:[0-9A-Za-z]{{0,{MAX_WORD_CHARS}}}[\t\n\r -/:-@\[-`{{-~]+)*"
    rf"[0-9A-Za-z]{{0,{MAX_WORD_CHARS}}}"
)


def _sequence_table() -> np.ndarray:
    """For each first byte: length | lowest second byte << 8 | highest << 16 | bits << 24."""
    table = np.zeros(256, np.int32)
    no_second = 1 << 8  # the range 1…0 is empty
    table[:] = no_second
    table[:0x80] = 1 | 0xFF << 16 | 0x7F << 24
    table[0xC2:0xE0] = 2 | 0x80 << 8 | 0xBF << 16 | 0x1F << 24
    table[0xE0:0xF0] = 3 | 0x80 << 8 | 0xBF << 16 | 0x0F << 24
    table[0xF0:0xF5] = 4 | 0x80 << 8 | 0xBF << 16 | 0x07 << 24
    table[0xE0] += 0x20 << 8  # no overlong form
    table[0xED] -= 0x20 << 16  # no surrogate
    table[0xF0] += 0x10 << 8  # no overlong form
    table[0xF4] -= 0x30 << 16  # nothing above U+10FFFF
    return table


class Source(NamedTuple):
    """Where the normalised bytes come from. All int32; positions count joined bytes."""

    row_starts: tf.Tensor  # [rows] first byte of each row of the source
    row_outputs: tf.Tensor  # [rows] first byte of each row of the result
    segment_outputs: tf.Tensor  # [2 * heads + 2] where each segment of the result begins
    segment_sources: tf.Tensor  # [2 * heads + 1] the source byte it was made from
    heads: tf.Tensor  # [heads'] bytes that begin a character other than plain ASCII
    dropped: tf.Tensor  # [heads' + 1] bytes before each head that begin no character
    lengths: tf.Tensor  # [heads] source bytes of each replaced character


class Normalizer:
    """Normalises batches of strings; holds the tables as constants.

    Args:
        alphabet, lowercase, strip_accents, split_chinese: see `code_points.build`.
    """

    def __init__(
        self, alphabet: set[str], lowercase: bool, strip_accents: bool, split_chinese: bool
    ):
        tables = cp.build(alphabet, lowercase, strip_accents, split_chinese)
        is_break = np.zeros(256, bool)
        is_break[[i for i in range(2, 128) if not chr(i).isalnum()]] = True
        with tf.init_scope():
            self._sequences = tf.constant(_sequence_table())
            self._page_index = tf.constant(tables.page_index)
            self._entries = tf.constant(tables.entries)
            self._pool = tf.constant(tables.pool)
            self._is_break = tf.constant(is_break)
            self._context = None
            if lowercase or strip_accents:
                self._context = context.Context(tables, lowercase)

    def __call__(self, texts: tf.Tensor) -> tuple[tf.Tensor, Source]:
        """Normalises rows.

        Args:
            texts: string [rows], at least one row; ASCII already lower-cased if wanted.

        Returns:
            string [rows], words separated by spaces or ASCII punctuation, and the `Source`
            of its bytes.
        """
        sizes = tf.strings.length(texts) + 1
        row_ends = tf.cumsum(sizes)
        joined = tf.strings.reduce_join(texts + cp.ROW_BREAK)
        data = tf.io.decode_raw(joined, tf.uint8)
        heads, lengths, codes = self._decode(data, row_ends - 1)
        first_heads = heads
        dropped = tf.cumsum(tf.concat([[0], lengths - tf.cast(codes >= 0, tf.int32)], 0))
        codes = tf.maximum(codes, 0)  # an invalid byte is removed as NUL is
        entries = self._lookup(codes)
        if self._context is not None:
            heads, lengths, entries = self._in_context(data, heads, lengths, codes, entries)
        output, outputs, sources = self._assemble(data, heads, lengths, entries)
        rows = tf.raw_ops.StringSplitV2(
            input=[_bytes_to_string(output)], sep=cp.ROW_BREAK, maxsplit=-1
        ).values[: tf.size(texts)]
        source = Source(
            row_starts=row_ends - sizes,
            row_outputs=tf.cumsum(tf.strings.length(rows) + 1, exclusive=True),
            segment_outputs=outputs,
            segment_sources=sources,
            heads=first_heads,
            dropped=dropped,
            lengths=lengths,
        )
        return rows, source

    def _decode(
        self, data: tf.Tensor, breaks: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Decodes everything but runs of printable ASCII.

        Returns:
            int32 [heads] each: position, byte length, and code point (−1: not UTF-8) of
            each such character, invalid byte and row break.
        """
        # Unsigned, so that control characters wrap round to the top as well.
        special = tf.where(data - tf.constant(32, tf.uint8) >= tf.constant(95, tf.uint8))
        position = tf.cast(special[:, 0], tf.int32)
        padded = tf.concat([data, tf.zeros([3], tf.uint8)], 0)
        first, second, third, fourth = (
            tf.cast(tf.gather(padded, position + k), tf.int32) for k in range(4)
        )
        sequence = tf.gather(self._sequences, first)
        length = sequence & 0xFF
        low, high = _shifted(sequence, 8) & 0xFF, _shifted(sequence, 16) & 0xFF
        valid = (second >= low) & (second <= high)
        valid &= (length < 3) | (third & 0xC0 == 0x80)
        valid &= (length < 4) | (fourth & 0xC0 == 0x80)
        length = tf.where(valid, length, 0)
        code = first & _shifted(sequence, 24)
        for k, byte in ((2, second), (3, third), (4, fourth)):
            code = tf.where(length >= k, code * 64 + (byte & 0x3F), code)
        code = tf.where(valid, code, -1)
        # Bytes inside a valid sequence follow its first byte directly.
        before = tf.concat([[0, 0, 0], length], 0)
        inside = (before[2:-1] >= 2) | (before[1:-2] >= 3) | (before[:-3] >= 4)
        kept = tf.where(~inside)[:, 0]
        position, length, code = (tf.gather(x, kept) for x in (position, length, code))
        at_break = tf.searchsorted(position, breaks)[:, tf.newaxis]
        break_codes = tf.fill(tf.shape(breaks), cp.ROW_BREAK_CODE)
        code = tf.tensor_scatter_nd_update(code, at_break, break_codes)
        return position, tf.maximum(length, 1), code

    def _lookup(self, codes: tf.Tensor) -> tf.Tensor:
        page = tf.gather(self._page_index, _shifted(codes, 8))
        return tf.gather(self._entries, page * cp.PAGE + (codes & 0xFF))

    def _in_context(
        self,
        data: tf.Tensor,
        heads: tf.Tensor,
        lengths: tf.Tensor,
        codes: tf.Tensor,
        entries: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Applies the rules that look at neighbours, where the batch needs them."""

        def resolve() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            moved = self._context(data, heads, lengths, codes, entries, self._lookup)
            return moved.heads, moved.lengths, self._lookup(moved.codes)

        needed = tf.reduce_any(entries & cp.CONTEXTUAL > 0)
        return tf.cond(needed, resolve, lambda: (heads, lengths, entries))

    def _assemble(
        self, data: tf.Tensor, heads: tf.Tensor, lengths: tf.Tensor, entries: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Copies runs of ASCII and replacements, in turn.

        Returns:
            the bytes; and of each segment (run, replacement, run, …, run) where it begins
            in them (one more for the end) and which source byte it begins at.
        """
        size = tf.size(data)
        run_starts = tf.concat([[0], heads + lengths], 0)
        run_ends = tf.concat([heads, [size]], 0)
        places = size + _shifted(entries, cp.START_SHIFT)
        place_ends = places + (_shifted(entries, cp.LENGTH_SHIFT) & cp.LENGTH_MASK)
        segments = tf.raw_ops.RaggedRange(
            starts=_interleave(run_starts, places),
            limits=_interleave(run_ends, place_ends),
            deltas=1,
            Tsplits=tf.int32,
        )
        output = tf.gather(tf.concat([data, self._pool], 0), segments.rt_dense_values)
        output = self._without_long_words(output)
        return output, segments.rt_nested_splits, _interleave(run_starts, heads)

    def _without_long_words(self, output: tf.Tensor) -> tf.Tensor:
        """Overwrites words over 200 characters, so that they come out as [UNK]."""
        is_break = tf.gather(self._is_break, tf.cast(output, tf.int32))
        breaks = tf.where(is_break)[:, 0]
        gaps = breaks - tf.concat([[-1], breaks[:-1]], 0)

        def overwrite() -> tf.Tensor:
            word = tf.cumsum(tf.cast(is_break, tf.int32))
            continues = tf.bitwise.bitwise_and(output, 0xC0) == 0x80
            counts = tf.math.bincount(tf.boolean_mask(word, ~(is_break | continues)))
            is_long = tf.concat([counts > MAX_WORD_CHARS, [False]], 0)
            long = tf.gather(is_long, tf.minimum(word, tf.size(counts)))
            unknown = tf.constant(ord(cp.UNKNOWN_LETTER), tf.uint8)
            return tf.where(long & ~is_break, unknown, output)

        return tf.cond(tf.reduce_max(gaps) > MAX_WORD_CHARS + 1, overwrite, lambda: output)


def _interleave(runs: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """[n + 1] and [n] to [2 n + 1]: run, other, run, …, run."""
    pairs = tf.stack([runs[:-1], others], axis=1)
    return tf.concat([tf.reshape(pairs, [-1]), runs[-1:]], 0)


def _bytes_to_string(data: tf.Tensor) -> tf.Tensor:
    """uint8 [n] to one string of n bytes.

    There is no op for it, but a serialized TensorProto ends with the tensor's bytes.
    """
    size = tf.size(data)
    return tf.strings.substr(tf.io.serialize_tensor(data), -size, size)


def to_source(
    source: Source, row: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps spans of normalised rows to spans of the source.

    Args:
        source: from `Normalizer.__call__`.
        row, starts, ends: int32 [spans]: row number and byte positions in that row of the
            result, the end exclusive, no span empty.

    Returns:
        int32 [spans] twice: positions in the joined source bytes, from the first source
        character of the span to the end of its last.
    """
    base = tf.gather(source.row_outputs, row)
    first, at_first, _ = _segment_of(source, base + starts)
    last, at_last, is_head = _segment_of(source, base + ends - 1)
    lengths = tf.concat([source.lengths, [1]], 0)
    last_length = tf.where(is_head, tf.gather(lengths, last // 2), 1)
    return at_first, at_last + last_length


def _segment_of(
    source: Source, positions: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of each position of the result: segment, source byte, whether it was replaced."""
    segment = tf.searchsorted(source.segment_outputs, positions, side="right") - 1
    is_head = segment & 1 == 1
    into = positions - tf.gather(source.segment_outputs, segment)
    origin = tf.gather(source.segment_sources, segment)
    return segment, origin + tf.where(is_head, 0, into), is_head


def to_characters(source: Source, positions: tf.Tensor) -> tf.Tensor:
    """Joined byte positions (int32) as counts of the valid characters before them."""
    return positions - tf.gather(source.dropped, tf.searchsorted(source.heads, positions))
