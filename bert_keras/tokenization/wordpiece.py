"""Strings to WordPiece ids in the graph: normalise the rows that need it, then split.

Rows of plain ASCII need no normalisation but lower-casing, and go straight to
tensorflow-text's linear-time WordPiece op (Song et al. 2021, "Fast WordPiece
Tokenization"); the other rows of the batch go through `Normalizer` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.core.pybinds import pywrap_fast_wordpiece_tokenizer_model_builder

from bert_keras.errors import UserError
from bert_keras.tokenization import code_points, normalizer, vocabulary

Unit = normalizer.Unit


class Pieces(NamedTuple):
    """Ids of all rows on end, and optionally where each stands in its own row."""

    ids: tf.Tensor  # int32 [tokens]
    row_splits: tf.Tensor  # int64 [rows + 1]
    starts: tf.Tensor  # int32 [tokens], or empty
    ends: tf.Tensor  # int32 [tokens], exclusive, or empty


class WordPiece:
    """The tokenizer proper; a plain object whose constants any graph may capture.

    Args:
        pieces: the vocabulary.
        lowercase, strip_accents, split_chinese: see `code_points.build`.

    Raises:
        UserError: the op cannot compile the vocabulary.
    """

    def __init__(
        self, pieces: Sequence[str], lowercase: bool, strip_accents: bool, split_chinese: bool
    ):
        self._lowercase = lowercase
        usable = vocabulary.matchable(pieces)
        alphabet = vocabulary.alphabet(usable)
        if not split_chinese:
            usable = [code_points.to_private(piece) for piece in usable]
        model = _compile(usable)
        with tf.init_scope():
            self._op = tf_text.FastWordpieceTokenizer(
                model_buffer=tf.constant(model), token_out_type=tf.int32
            )
        self._normalizer = normalizer.Normalizer(alphabet, lowercase, strip_accents, split_chinese)

    def __call__(self, texts: tf.Tensor, unit: Unit | None = None) -> Pieces:
        """Tokenizes rows.

        Args:
            texts: string [rows], UTF-8; bytes that are not are ignored.
            unit: None for ids alone, or what offsets count.
        """
        is_plain = tf.strings.regex_full_match(texts, normalizer.PLAIN_ROW)
        texts = tf.strings.lower(texts) if self._lowercase else texts
        return tf.cond(
            tf.reduce_all(is_plain),
            lambda: self._plain(texts, unit),
            lambda: self._mixed(texts, is_plain, unit),
        )

    def _plain(self, texts: tf.Tensor, unit: Unit | None) -> Pieces:
        ids, starts, ends = self._op.tokenize_with_offsets(texts)
        if unit is None:
            nothing = tf.zeros([0], tf.int32)
            return Pieces(ids.values, ids.row_splits, nothing, nothing)
        # In plain ASCII a character is a byte.
        starts, ends = tf.cast(starts.values, tf.int32), tf.cast(ends.values, tf.int32)
        return Pieces(ids.values, ids.row_splits, starts, ends)

    def _mixed(self, texts: tf.Tensor, is_plain: tf.Tensor, unit: Unit | None) -> Pieces:
        rows = tf.where(~is_plain)
        normalised, source = self._normalizer(tf.gather_nd(texts, rows), unit)
        pieces = self._plain(tf.tensor_scatter_nd_update(texts, rows, normalised), unit)
        if source is None:
            return pieces
        # Which of the normalised rows a token is in, −1 for those of plain rows.
        number = tf.range(tf.size(normalised))
        number = tf.tensor_scatter_nd_update(tf.fill(tf.shape(texts), -1), rows, number)
        token_row = tf.gather(number, _row_of(pieces.row_splits))
        tokens = tf.where(token_row >= 0)
        row, starts, ends = (
            tf.gather_nd(x, tokens) for x in (token_row, pieces.starts, pieces.ends)
        )
        starts, ends = normalizer.to_source(source, row, starts, ends)
        return pieces._replace(
            starts=tf.tensor_scatter_nd_update(pieces.starts, tokens, starts),
            ends=tf.tensor_scatter_nd_update(pieces.ends, tokens, ends),
        )


def _row_of(row_splits: tf.Tensor) -> tf.Tensor:
    """The row of each value, int32 [values].

    `tf.repeat` and `value_rowids` build a mask of rows by the longest row; this does not.
    """
    ends = row_splits[1:-1]
    marks = tf.scatter_nd(ends[:, tf.newaxis], tf.ones_like(ends, tf.int32), row_splits[-1:] + 1)
    return tf.cumsum(marks)[:-1]


def _compile(pieces: Sequence[str]) -> np.ndarray:
    """The op's model of a vocabulary, uint8 [bytes]."""
    build = pywrap_fast_wordpiece_tokenizer_model_builder.build_fast_wordpiece_model
    # Words over 200 characters never reach the op; no other is longer than this.
    longest = 4 * normalizer.MAX_WORD_CHARS
    try:
        model = build(list(pieces), longest, "##", vocabulary.UNKNOWN, False, False)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"vocabulary of {len(pieces)} pieces: the WordPiece op cannot take it "
            f"({' '.join(str(error).split())})"
        ) from error
    return np.frombuffer(bytes(model), np.uint8)
