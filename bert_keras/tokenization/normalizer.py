"""In-graph text normalisation by tables over code points, with source positions.

All rows are joined and taken as one vector of bytes. Runs of plain ASCII are copied; every
other character is decoded (UTF-8 by the rules of Unicode's table 3-7, so that what Python's
`errors="ignore"` drops is dropped here) and replaced by its entry of `code_points.Tables`.
Only constants and core ops are used: no lookup table, no ICU, no locale.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from bert_keras.tokenization import code_points as cp
from bert_keras.tokenization import context

# As in Google's code since November 2018; earlier, and in transformers, 100.
MAX_WORD_CHARS = 200
# The largest repeat count of an RE2 expression.
MOST_WORD_CHARS = 1000

_shifted = tf.bitwise.right_shift

# Rows that need no table: printable ASCII and white space. Lower-casing keeps their length, so
# positions in them are positions in the source.
ASCII_ROW = r"[\t\n\r -~]*"


def plain_row(max_word_chars: int) -> str:
    """Returns the expression for an `ASCII_ROW` whose words are not too long."""
    word = rf"[0-9A-Za-z]{{0,{max_word_chars}}}"
    return rf"(?:{word}[\t\n\r -/:-@\[-`{{-~]+)*{word}"


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


Unit = Literal["char", "byte"]


class Source(NamedTuple):
    """Where the normalised bytes come from, in the unit asked for; int32.

    The result consists of segments: a run of copied bytes, a replacement, a run, …, a run.
    """

    row_sources: tf.Tensor  # [rows] where each row of the source begins
    row_outputs: tf.Tensor  # [rows] where each row of the result begins, in bytes
    segment_of: tf.Tensor  # [bytes of the result] which segment it is in
    segment_outputs: tf.Tensor  # [segments + 1] where each segment begins in the result
    segment_sources: tf.Tensor  # [segments] where it begins in the source
    segment_sizes: tf.Tensor  # [segments] source size of a replaced character, 0 for runs


class Normalizer:
    """Normalises batches of strings; holds the tables as constants.

    Args:
        alphabet, lowercase, strip_accents, split_chinese: see `code_points.build`.
        max_word_chars: the longest word that is not [UNK] as a whole; None leaves long words
            as they are.
    """

    def __init__(
        self,
        alphabet: set[str],
        lowercase: bool,
        strip_accents: bool,
        split_chinese: bool,
        max_word_chars: int | None = MAX_WORD_CHARS,
    ):
        self._max_word_chars = max_word_chars
        tables = cp.build(alphabet, lowercase, strip_accents, split_chinese)
        with tf.init_scope():
            self._sequences = tf.constant(_sequence_table())
            self._page_index = tf.constant(tables.page_index)
            self._entries = tf.constant(tables.entries)
            self._pool = tf.constant(tables.pool)
            self._is_break = tf.constant(_breaks())
            self._context = context.Context(tables, lowercase)
        # Text that keeps case and accents is the same in any context.
        self._has_context = lowercase or strip_accents

    def __call__(
        self, texts: tf.Tensor, unit: Unit | None = None
    ) -> tuple[tf.Tensor, Source | None]:
        """Normalises rows.

        Args:
            texts: string [rows], at least one row; ASCII already lower-cased if wanted.
            unit: what source positions count, or None when they are not needed.

        Returns:
            string [rows], words separated by spaces or ASCII punctuation, and the `Source`
            of its bytes.
        """
        sizes = tf.strings.length(texts) + 1
        row_ends = tf.cumsum(sizes)
        data = join_rows(texts)
        heads = self._decode(data, row_ends - 1)
        entries = self._lookup(heads.codes)
        if self._has_context:
            heads, entries = self._in_context(data, heads, entries)
        output, segment_outputs = self._assemble(data, heads, entries)
        if self._max_word_chars is not None:
            output = without_long_words(output, self._is_break, self._max_word_chars)
        rows = split_rows(output, tf.size(texts))
        if unit is None:
            return rows, None
        row_sources = row_ends - sizes
        if unit == "char":
            at_row = tf.searchsorted(heads.positions, row_sources)
            before = tf.concat([heads.dropped, [0]], 0)
            row_sources -= tf.gather(before, at_row)
        row_outputs = tf.cumsum(tf.strings.length(rows) + 1, exclusive=True)
        segments = _sources(heads, segment_outputs, tf.size(output), unit)
        return rows, Source(row_sources, row_outputs, *segments)

    def _decode(self, data: tf.Tensor, breaks: tf.Tensor) -> context.Heads:
        """Decodes everything but runs of printable ASCII."""
        # Unsigned, so that control characters wrap round to the top as well.
        special = data - tf.constant(32, tf.uint8) >= tf.constant(95, tf.uint8)
        inner = tf.bitwise.bitwise_and(data, 0xC0) == 0x80
        position, length, code = self._sequences_at(data, special & ~inner)
        # Nearly always, all inner bytes belong to the sequences found.
        belonging = tf.reduce_sum(tf.maximum(length - 1, 0))
        position, length, code = tf.cond(
            tf.math.count_nonzero(inner, dtype=tf.int32) == belonging,
            lambda: (position, length, code),
            lambda: self._with_stray_bytes(data, special),
        )
        is_valid = length > 0
        length = tf.maximum(length, 1)
        dropped = tf.cumsum(length - tf.cast(is_valid, tf.int32), exclusive=True)
        at_break = tf.searchsorted(position, breaks)[:, tf.newaxis]
        break_codes = tf.fill(tf.shape(breaks), cp.ROW_BREAK_CODE)
        code = tf.tensor_scatter_nd_update(code, at_break, break_codes)
        return context.Heads(position, length, dropped, code, is_valid)

    def _with_stray_bytes(
        self, data: tf.Tensor, special: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """As `_sequences_at`, for text with inner bytes outside of valid sequences."""
        position, length, code = self._sequences_at(data, special)
        # Bytes inside a valid sequence follow its first byte directly.
        before = tf.concat([[0, 0, 0], length], 0)
        inside = (before[2:-1] >= 2) | (before[1:-2] >= 3) | (before[:-3] >= 4)
        kept = tf.where(~inside)[:, 0]
        return tf.gather(position, kept), tf.gather(length, kept), tf.gather(code, kept)

    def _sequences_at(
        self, data: tf.Tensor, first_bytes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The UTF-8 sequences that begin at the marked bytes, valid or not.

        Returns:
            int32 [marked] each: position, byte length, 0 where no sequence begins, and
            code point, there 0, which is removed from the text as an invalid byte is.
        """
        position = tf.cast(tf.where(first_bytes)[:, 0], tf.int32)
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
        code = tf.where(valid, first & _shifted(sequence, 24), 0)
        for k, byte in ((2, second), (3, third), (4, fourth)):
            code = tf.where(length >= k, code * 64 + (byte & 0x3F), code)
        return position, length, code

    def _lookup(self, codes: tf.Tensor) -> tf.Tensor:
        page = tf.gather(self._page_index, _shifted(codes, 8))
        return tf.gather(self._entries, page * cp.PAGE + (codes & 0xFF))

    def _in_context(
        self, data: tf.Tensor, heads: context.Heads, entries: tf.Tensor
    ) -> tuple[context.Heads, tf.Tensor]:
        """Applies the rules that look at neighbours, where the batch needs them."""

        def resolve() -> tuple[context.Heads, tf.Tensor]:
            resolved = self._context(data, heads, entries, self._lookup)
            return resolved, self._lookup(resolved.codes)

        needed = tf.reduce_any(entries & cp.CONTEXTUAL > 0)
        return tf.cond(needed, resolve, lambda: (heads, entries))

    def _assemble(
        self, data: tf.Tensor, heads: context.Heads, entries: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Copies runs of ASCII and replacements, in turn.

        Returns:
            the bytes, and where each segment (run, replacement, run, …, run) begins in
            them, with one more for the end.
        """
        size = tf.size(data)
        run_starts = tf.concat([[0], heads.positions + heads.lengths], 0)
        run_ends = tf.concat([heads.positions, [size]], 0)
        places = size + _shifted(entries, cp.START_SHIFT)
        place_ends = places + (_shifted(entries, cp.LENGTH_SHIFT) & cp.LENGTH_MASK)
        segments = tf.raw_ops.RaggedRange(
            starts=_interleave(run_starts, places),
            limits=_interleave(run_ends, place_ends),
            deltas=1,
            Tsplits=tf.int32,
        )
        output = tf.gather(tf.concat([data, self._pool], 0), segments.rt_dense_values)
        return output, segments.rt_nested_splits

    def characters_before(
        self, texts: tf.Tensor, row: tf.Tensor, positions: tf.Tensor
    ) -> tf.Tensor:
        """Converts byte positions to character positions.

        Args:
            texts: string [rows], at least one row.
            row, positions: int32 [n], row number and position in that row, in bytes.

        Returns:
            int32 [n]: how many characters of the valid UTF-8 stand before it in its row.
        """
        sizes = tf.strings.length(texts) + 1
        row_ends = tf.cumsum(sizes)
        heads = self._decode(join_rows(texts), row_ends - 1)

        def count(places: tf.Tensor) -> tf.Tensor:
            # The last row's end is a head behind every position.
            return places - tf.gather(heads.dropped, tf.searchsorted(heads.positions, places))

        row_starts = row_ends - sizes
        absolute = tf.gather(row_starts, row) + positions
        return count(absolute) - tf.gather(count(row_starts), row)


def join_rows(texts: tf.Tensor) -> tf.Tensor:
    """string [rows] to their bytes, uint8, each row followed by `ROW_BREAK`."""
    return tf.io.decode_raw(tf.strings.reduce_join(texts + cp.ROW_BREAK), tf.uint8)


def split_rows(data: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The reverse of `join_rows`, for `count` rows."""
    return tf.raw_ops.StringSplitV2(
        input=[_bytes_to_string(data)], sep=cp.ROW_BREAK, maxsplit=-1
    ).values[:count]


def shorten_words(texts: tf.Tensor, max_word_chars: int) -> tf.Tensor:
    """Overwrites words of too many characters in normalised rows, which keep their lengths."""
    suspect = tf.strings.length(texts) > max_word_chars
    suspect &= ~tf.strings.regex_full_match(texts, plain_row(max_word_chars))

    def overwrite() -> tf.Tensor:
        data = without_long_words(join_rows(texts), tf.constant(_breaks()), max_word_chars)
        return split_rows(data, tf.size(texts))

    return tf.cond(tf.reduce_any(suspect), overwrite, lambda: texts)


def _breaks() -> np.ndarray:
    """Marks the bytes between words: ASCII that is no letter or digit, `ROW_BREAK` included."""
    is_break = np.zeros(256, bool)
    is_break[[i for i in range(2, 128) if not chr(i).isalnum()]] = True
    return is_break


def without_long_words(data: tf.Tensor, breaks: tf.Tensor, max_word_chars: int) -> tf.Tensor:
    """Overwrites words of too many characters, so that they come out as [UNK]."""
    is_break = tf.gather(breaks, tf.cast(data, tf.int32))
    places = tf.where(is_break)[:, 0]
    gaps = places - tf.concat([[-1], places[:-1]], 0)

    def overwrite() -> tf.Tensor:
        word = tf.cumsum(tf.cast(is_break, tf.int32))
        continues = tf.bitwise.bitwise_and(data, 0xC0) == 0x80
        counts = tf.math.bincount(tf.boolean_mask(word, ~(is_break | continues)))
        is_long = tf.concat([counts > max_word_chars, [False]], 0)
        long = tf.gather(is_long, tf.minimum(word, tf.size(counts)))
        unknown = tf.constant(ord(cp.UNKNOWN_LETTER), tf.uint8)
        return tf.where(long & ~is_break, unknown, data)

    return tf.cond(tf.reduce_max(gaps) > max_word_chars + 1, overwrite, lambda: data)


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


def _sources(
    heads: context.Heads, outputs: tf.Tensor, size: tf.Tensor, unit: Unit
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The segments' part of `Source`, for a result of so many bytes."""
    starts, lengths = heads.positions, heads.lengths
    if unit == "char":
        starts, lengths = starts - heads.dropped, tf.cast(heads.is_valid, tf.int32)
    segment_of = tf.scatter_nd(outputs[:, tf.newaxis], tf.ones_like(outputs), [size + 1])
    return (
        tf.cumsum(segment_of) - 1,
        outputs,
        _interleave(tf.concat([[0], starts + lengths], 0), starts),
        _interleave(tf.zeros([tf.size(starts) + 1], tf.int32), lengths),
    )


def to_source(
    source: Source, row: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps spans of normalised rows to spans of the source rows.

    Args:
        source: from `Normalizer.__call__`.
        row, starts, ends: int32 [spans]: row number and byte positions in that row of the
            result, the end exclusive, no span empty.

    Returns:
        int32 [spans] twice: positions in the source row, from the first source character
        of the span to the end of its last.
    """
    output, base = tf.gather(source.row_outputs, row), tf.gather(source.row_sources, row)
    first, _ = _origin(source, output + starts)
    last, last_size = _origin(source, output + ends - 1)
    return first - base, last + tf.maximum(last_size, 1) - base


def _origin(source: Source, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where bytes of the result come from: position, and size of a replaced character."""
    segment = tf.gather(source.segment_of, positions)
    size = tf.gather(source.segment_sizes, segment)
    into = positions - tf.gather(source.segment_outputs, segment)
    origin = tf.gather(source.segment_sources, segment)
    return origin + tf.where(size > 0, 0, into), size


def without_padding(
    source: Source, row: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes off spans the spaces that stand for no white space of the source.

    Such a space is put beside an ideograph or a punctuation mark of more than one byte, and a
    token that takes the white space next to it reaches over that one too.

    Args:
        source, row, starts, ends: as for `to_source`.

    Returns:
        the starts and ends without it.
    """
    base = tf.gather(source.row_outputs, row)

    def edges(places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where the replaced characters begin and end that hold these bytes of the result."""
        segment = tf.gather(source.segment_of, places)
        begin = tf.gather(source.segment_outputs, segment)
        return begin, tf.gather(source.segment_outputs, segment + 1)

    def is_replaced(places: tf.Tensor) -> tf.Tensor:
        return tf.gather(source.segment_sizes, tf.gather(source.segment_of, places)) > 0

    first, last = base + starts, base + ends - 1
    # No token begins with the last byte of several, and ends behind them, but with a space.
    begin, end = edges(first)
    moved = is_replaced(first) & (first == end - 1) & (first > begin) & (last >= end)
    starts += tf.cast(moved, tf.int32)
    begin, end = edges(last)
    moved = is_replaced(last) & (last == begin) & (last < end - 1) & (first < begin)
    return starts, ends - tf.cast(moved, tf.int32)
