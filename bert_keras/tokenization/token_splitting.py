"""Rows of text taken apart at added tokens, and put together again with their ids.

As in `tokenizers`: what stands between two tokens is tokenized by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bert_keras.tokenization import code_points as cp
from bert_keras.tokenization.added_tokens import AddedToken
from bert_keras.tokenization.normalizer import join_rows, split_rows
from bert_keras.tokenization.token_search import Matches, Trie


class Pieces(NamedTuple):
    """Ids of all rows on end, and optionally where each stands in its own row."""

    ids: tf.Tensor  # int32 [tokens]
    row_splits: tf.Tensor  # int64 [rows + 1]
    starts: tf.Tensor  # int32 [tokens], or empty
    ends: tf.Tensor  # int32 [tokens], exclusive, or empty


class Stretches(NamedTuple):
    """Text between tokens: each row is a stretch, a token, a stretch, …, a stretch."""

    texts: tf.Tensor  # string [stretches], all rows on end
    positions: tf.Tensor  # int32 [stretches], first byte in the row
    row_splits: tf.Tensor  # int32 [rows + 1], the stretches of each row
    ids: tf.Tensor  # int32 [matches], ids of the tokens
    starts: tf.Tensor  # int32 [matches], first byte in the row
    ends: tf.Tensor  # int32 [matches], exclusive
    closed: tf.Tensor  # int32 [matches], the stretch that each token stands behind


# Rust's \w (Unicode's annex C of UTS 18), which decides what a word is for `single_word`. A letter
# that no piece contains is `UNKNOWN_LETTER` in normalized text.
_WORD = (
    r"[\pL\pM\p{Nd}\p{Nl}\p{Pc}\x{1}\x{200C}\x{200D}"
    r"\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}]"
)
# White space beyond ASCII, by its length in UTF-8.
_WIDE_SPACES = (
    (r"[\x{85}\x{A0}]", "  "),
    (r"[\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]", "   "),
)
_LONGEST_CHARACTER = 4


class Splitter:
    """Takes rows apart at tokens.

    Args:
        tokens: what to look for.
        patterns: the text of each as it stands in the rows, UTF-8.
        ids: the id of each.
    """

    def __init__(self, tokens: Sequence[AddedToken], patterns: Sequence[bytes], ids: Sequence[int]):
        # Of two tokens with one pattern the special one is found.
        order = sorted(range(len(tokens)), key=lambda index: not tokens[index].special)
        tokens = [tokens[index] for index in order]
        self._trie = Trie([patterns[index] for index in order])
        with tf.init_scope():
            self._ids = tf.constant([ids[index] for index in order], tf.int32)
            self._single_word = _flags([token.single_word for token in tokens])
            self._lstrip = _flags([token.lstrip for token in tokens])
            self._rstrip = _flags([token.rstrip for token in tokens])
        self.takes_spaces = self._lstrip is not None or self._rstrip is not None
        # One token that is left as it is needs no search: TensorFlow splits strings at it.
        self._separator = patterns[0] if len(patterns) == 1 and not self.takes_spaces else b""
        if self._single_word is not None:
            self._separator = b""
        # Traced once for all graphs that tokenize.
        spec = [tf.TensorSpec([None], tf.string)]
        self._function = tf.function(self._take_apart, spec, autograph=False)

    def __call__(self, texts: tf.Tensor) -> Stretches:
        """Takes rows apart, string [rows]."""
        return self._split_at(texts) if self._separator else self._function(texts)

    def _split_at(self, texts: tf.Tensor) -> Stretches:
        """The same for a single token without flags, in half the time."""
        parts = tf.strings.split(texts, self._separator)
        row_splits = tf.cast(parts.row_splits, tf.int32)
        width = len(self._separator)
        sizes = tf.strings.length(parts.values) + width
        begins = tf.cumsum(sizes, exclusive=True)
        # Each row's last stretch has no token behind it.
        is_last = tf.scatter_nd(row_splits[1:, tf.newaxis] - 1, row_splits[1:], tf.shape(sizes)) > 0
        closed = tf.cast(tf.where(~is_last)[:, 0], tf.int32)
        row = row_of(parts.row_splits)
        positions = begins - tf.gather(tf.gather(begins, row_splits[:-1]), row)
        ends = tf.gather(positions, closed + 1)
        ids = tf.fill(tf.shape(closed), self._ids[0])
        return Stretches(parts.values, positions, row_splits, ids, ends - width, ends, closed)

    def _take_apart(self, texts: tf.Tensor) -> Stretches:
        # The device of the caller does not reach into a function.
        with tf.device("CPU:0"):
            return self._on_cpu(texts)

    def _on_cpu(self, texts: tf.Tensor) -> Stretches:
        data = join_rows(texts)
        sizes = tf.strings.length(texts) + 1
        row_starts = tf.cumsum(sizes, exclusive=True)
        matches = self._trie(data)

        def split() -> Stretches:
            return self._split(texts, data, row_starts, matches)

        def whole() -> Stretches:
            rows, nothing = tf.size(texts), tf.zeros([0], tf.int32)
            return Stretches(
                texts, tf.zeros_like(sizes), tf.range(rows + 1), nothing, nothing, nothing, nothing
            )

        return tf.cond(tf.size(matches.tokens) > 0, split, whole)

    def _split(
        self, texts: tf.Tensor, data: tf.Tensor, row_starts: tf.Tensor, matches: Matches
    ) -> Stretches:
        if self._single_word is not None:
            matches = _without_parts_of_words(data, matches, self._single_word)
        if self.takes_spaces:
            matches = self._with_spaces(texts, row_starts, matches)
        tokens, starts, ends = matches
        rows = tf.size(texts)
        row = tf.searchsorted(row_starts, starts, side="right") - 1
        numbers = tf.range(tf.size(tokens))
        # A stretch begins where a row does, and behind each token.
        begins = tf.concat([row_starts, ends], 0)
        behind = tf.concat([tf.range(rows), row], 0)
        order = tf.argsort(begins, stable=True)
        begins, behind = tf.gather(begins, order), tf.gather(behind, order)
        bases = tf.gather(row_starts, row)
        return Stretches(
            split_rows(_cut_out(data, row_starts, matches), rows + tf.size(tokens)),
            begins - tf.gather(row_starts, behind),
            tf.searchsorted(behind, tf.range(rows + 1)),
            tf.gather(self._ids, tokens),
            starts - bases,
            ends - bases,
            numbers + row,
        )

    def _with_spaces(self, texts: tf.Tensor, row_starts: tf.Tensor, matches: Matches) -> Matches:
        """Extends tokens over the white space that they take; that behind a token goes first."""
        for pattern, spaces in _WIDE_SPACES:
            texts = tf.strings.regex_replace(texts, pattern, spaces)
        data = join_rows(texts)
        space = tf.equal(data, 32) | (data - tf.constant(9, tf.uint8) < tf.constant(5, tf.uint8))
        # `ROW_BREAK` is none, so no run of spaces goes on into another row.
        others = tf.cast(tf.where(~space)[:, 0], tf.int32)
        tokens, starts, ends = matches
        if self._rstrip is not None:
            run_ends = tf.gather(others, tf.searchsorted(others, ends))
            ends = tf.where(tf.gather(self._rstrip, tokens), run_ends, ends)
            ends = tf.minimum(ends, tf.concat([starts[1:], [tf.size(data)]], 0))
        if self._lstrip is not None:
            before = tf.concat([[-1], others], 0)
            run_starts = tf.gather(before, tf.searchsorted(others, starts)) + 1
            starts = tf.where(tf.gather(self._lstrip, tokens), run_starts, starts)
            starts = tf.maximum(starts, tf.concat([[0], ends[:-1]], 0))
        return Matches(tokens, starts, ends)


def _flags(values: Sequence[bool]) -> tf.Tensor | None:
    """A flag of each token; None when it is nowhere set, so that no op looks at it."""
    return tf.constant(values, tf.bool) if any(values) else None


def _without_parts_of_words(data: tf.Tensor, matches: Matches, single_word: tf.Tensor) -> Matches:
    """Drops tokens that must be single words and have a letter next to them."""
    reach = np.arange(_LONGEST_CHARACTER, dtype=np.int32)
    margin = tf.fill([_LONGEST_CHARACTER], tf.constant(ord(" "), tf.uint8))
    padded = tf.concat([margin, data, margin], 0)
    # The bytes before a token may begin inside of a character, which then counts as none.
    before = _strings_of(tf.gather(padded, matches.starts[:, tf.newaxis] + reach))
    behind = _strings_of(
        tf.gather(padded, matches.ends[:, tf.newaxis] + reach + _LONGEST_CHARACTER)
    )
    inside = tf.strings.regex_full_match(before, rf"(?s)\C*{_WORD}")
    inside |= tf.strings.regex_full_match(behind, rf"(?s){_WORD}\C*")
    kept = ~(inside & tf.gather(single_word, matches.tokens))
    return Matches(*(tf.boolean_mask(part, kept) for part in matches))


def _strings_of(rows: tf.Tensor) -> tf.Tensor:
    """uint8 [n, width] to string [n]; row breaks become spaces."""
    brk = tf.constant(ord(cp.ROW_BREAK), tf.uint8)
    rows = tf.where(rows == brk, tf.constant(ord(" "), tf.uint8), rows)
    ended = tf.concat([rows, tf.fill([tf.shape(rows)[0], 1], brk)], 1)
    return split_rows(tf.reshape(ended, [-1]), tf.shape(rows)[0])


def _cut_out(data: tf.Tensor, row_starts: tf.Tensor, matches: Matches) -> tf.Tensor:
    """Replaces each token by a row break."""
    brk = tf.constant(ord(cp.ROW_BREAK), tf.uint8)
    # The text's own control characters vanish in the normalization, whichever they are.
    data = tf.where(data == brk, tf.constant(ord("\x03"), tf.uint8), data)
    row_ends = tf.concat([row_starts[1:], [tf.size(data)]], 0) - 1
    breaks = tf.concat([row_ends, matches.starts], 0)[:, tf.newaxis]
    data = tf.tensor_scatter_nd_update(data, breaks, tf.fill([tf.size(breaks)], brk))
    # The first byte of a token stays, as the break.
    edges = tf.concat([matches.starts + 1, matches.ends], 0)[:, tf.newaxis]
    ones = tf.ones_like(matches.starts)
    steps = tf.scatter_nd(edges, tf.concat([ones, -ones], 0), [tf.size(data) + 1])
    return tf.boolean_mask(data, tf.cumsum(steps)[:-1] == 0)


def rejoin(stretches: Stretches, pieces: Pieces, with_positions: bool) -> Pieces:
    """Puts the tokens between the pieces of the stretches.

    Args:
        stretches: from `Splitter`.
        pieces: those of `stretches.texts`, their positions in bytes.
        with_positions: whether there are positions.

    Returns:
        the pieces of whole rows, positions in bytes of these.
    """
    splits = tf.cast(pieces.row_splits, tf.int32)
    owner = row_of(pieces.row_splits)
    # A piece moves on by the tokens before its stretch, a token by the pieces before it.
    count = tf.size(stretches.ids)
    before = tf.searchsorted(stretches.closed, tf.range(tf.size(stretches.texts)))
    moved = tf.range(tf.size(pieces.ids)) + tf.gather(before, owner)
    own = tf.gather(splits, stretches.closed + 1) + tf.range(count)
    index = tf.concat([moved, own], 0)[:, tf.newaxis]
    total = [tf.size(pieces.ids) + count]

    def merged(of_pieces: tf.Tensor, of_tokens: tf.Tensor) -> tf.Tensor:
        return tf.scatter_nd(index, tf.concat([of_pieces, of_tokens], 0), total)

    first = stretches.row_splits
    rows = tf.range(tf.size(first))
    row_splits = tf.cast(tf.gather(splits, first) + first - rows, tf.int64)
    ids = merged(pieces.ids, stretches.ids)
    if not with_positions:
        return Pieces(ids, row_splits, pieces.starts, pieces.ends)
    base = tf.gather(stretches.positions, owner)
    return Pieces(
        ids,
        row_splits,
        merged(pieces.starts + base, stretches.starts),
        merged(pieces.ends + base, stretches.ends),
    )


def row_of(row_splits: tf.Tensor) -> tf.Tensor:
    """The row of each value, int32 [values].

    `tf.repeat` and `value_rowids` build a mask of rows by the longest row; this does not.
    """
    ends = row_splits[1:-1]
    marks = tf.scatter_nd(ends[:, tf.newaxis], tf.ones_like(ends, tf.int32), row_splits[-1:] + 1)
    return tf.cumsum(marks)[:-1]
