"""Strings to WordPiece ids in the graph: normalise the rows that need it, then split.

Rows of plain ASCII need no normalisation but lower-casing, and go straight to
tensorflow-text's linear-time WordPiece op (Song et al. 2021, "Fast WordPiece
Tokenization"); the other rows of the batch go through `Normalizer` first. Added tokens that
are looked for in normalised text are found in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.core.pybinds import pywrap_fast_wordpiece_tokenizer_model_builder

from bert_keras.errors import UserError
from bert_keras.tokenization import code_points, normalizer, token_splitting, vocabulary
from bert_keras.tokenization.added_tokens import AddedToken
from bert_keras.tokenization.freeze_unicode import OTHER
from bert_keras.tokenization.token_splitting import Pieces

Unit = normalizer.Unit
# String rows, and what offsets count or None, to pieces.
Tokenize: TypeAlias = Callable[..., Pieces]

# Characters that are neither words (Rust's \w) nor punctuation, all in the first two planes.
_SYMBOL = r"[\p{Sm}\p{Sc}\p{Sk}\p{So}\p{No}]"
_BEYOND_SYMBOLS = 0x20000


class WordPiece:
    """The tokenizer proper; a plain object whose constants any graph may capture.

    Args:
        pieces: the vocabulary; an empty string at the ids that are added tokens alone.
        lowercase, strip_accents, split_chinese: see `code_points.build`.
        max_word_chars: longer words are [UNK] as a whole.
        added: tokens to look for in normalised text.
        ids: the ids of their contents.

    Raises:
        UserError: the op cannot compile the vocabulary.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        lowercase: bool,
        strip_accents: bool,
        split_chinese: bool,
        max_word_chars: int = normalizer.MAX_WORD_CHARS,
        added: Sequence[AddedToken] = (),
        ids: Mapping[str, int] | None = None,
    ):
        self._lowercase, self._max_word_chars = lowercase, max_word_chars
        usable = vocabulary.matchable(pieces)
        alphabet = vocabulary.alphabet(usable)
        if not split_chinese:
            usable = [code_points.to_private(piece) for piece in usable]
        model = _compile(usable, max_word_chars)
        with tf.init_scope():
            self._op = tf_text.FastWordpieceTokenizer(
                model_buffer=tf.constant(model), token_out_type=tf.int32
            )
        self._splitter: token_splitting.Splitter | None = None
        if not added:
            self._plain_row = normalizer.plain_row(max_word_chars)
            self._normalizer = normalizer.Normalizer(
                alphabet, lowercase, strip_accents, split_chinese, max_word_chars
            )
            return
        # A token may cut a long word into short ones, so their lengths are looked at later.
        self._plain_row = normalizer.ASCII_ROW
        self._normalizer = normalizer.Normalizer(
            alphabet | _alphabet(added), lowercase, strip_accents, split_chinese, None
        )
        patterns = self._normalized([token.content for token in added])
        self._splitter = token_splitting.Splitter(
            added, patterns, [(ids or {})[token.content] for token in added]
        )
        self._has_spaces = any(b" " in pattern for pattern in patterns)

    def _normalized(self, texts: Sequence[str]) -> list[bytes]:
        """Normalises strings at once, outside of any graph."""
        with tf.init_scope(), tf.device("CPU:0"):
            rows = tf.constant(list(texts))
            rows = tf.strings.lower(rows) if self._lowercase else rows
            return self._normalizer(rows)[0].numpy().tolist()

    def __call__(self, texts: tf.Tensor, unit: Unit | None = None) -> Pieces:
        """Tokenizes rows.

        Args:
            texts: string [rows], UTF-8; bytes that are not are ignored.
            unit: None for ids alone, or what offsets count.
        """
        is_plain = tf.strings.regex_full_match(texts, self._plain_row)
        texts = tf.strings.lower(texts) if self._lowercase else texts
        return tf.cond(
            tf.reduce_all(is_plain),
            lambda: self._plain(texts, unit),
            lambda: self._mixed(texts, is_plain, unit),
        )

    def in_characters(self, texts: tf.Tensor, pieces: Pieces) -> Pieces:
        """Converts positions in bytes of the rows `texts` to characters."""

        def convert() -> tuple[tf.Tensor, tf.Tensor]:
            row = token_splitting.row_of(pieces.row_splits)
            count = self._normalizer.characters_before
            return count(texts, row, pieces.starts), count(texts, row, pieces.ends)

        is_ascii = tf.reduce_all(tf.strings.regex_full_match(texts, normalizer.ASCII_ROW))
        starts, ends = tf.cond(is_ascii, lambda: (pieces.starts, pieces.ends), convert)
        return pieces._replace(starts=starts, ends=ends)

    def _plain(self, texts: tf.Tensor, unit: Unit | None) -> Pieces:
        """The pieces of normalised rows, and their positions in these, in bytes."""
        if self._splitter is None:
            return self._words(texts, unit)
        if self._has_spaces:
            texts = tf.strings.regex_replace(texts, r"[\t\n\r]", " ")
        stretches = self._splitter(texts)
        short = normalizer.shorten_words(stretches.texts, self._max_word_chars)
        return token_splitting.rejoin(stretches, self._words(short, unit), unit is not None)

    def _words(self, texts: tf.Tensor, unit: Unit | None) -> Pieces:
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
        token_row = tf.gather(number, token_splitting.row_of(pieces.row_splits))
        tokens = tf.where(token_row >= 0)
        row, starts, ends = (
            tf.gather_nd(x, tokens) for x in (token_row, pieces.starts, pieces.ends)
        )
        if self._splitter is not None and self._splitter.takes_spaces:
            starts, ends = normalizer.without_padding(source, row, starts, ends)
        starts, ends = normalizer.to_source(source, row, starts, ends)
        return pieces._replace(
            starts=tf.tensor_scatter_nd_update(pieces.starts, tokens, starts),
            ends=tf.tensor_scatter_nd_update(pieces.ends, tokens, ends),
        )


def with_tokens(
    wordpiece: WordPiece, tokens: Sequence[AddedToken], ids: Mapping[str, int]
) -> Tokenize:
    """Returns a function like `wordpiece` that finds tokens in the text as written first.

    Args:
        wordpiece: tokenizes what stands between them.
        tokens: what to look for; if none, the result is `wordpiece`.
        ids: the ids of their contents.
    """
    if not tokens:
        return wordpiece
    patterns = [token.content.encode() for token in tokens]
    splitter = token_splitting.Splitter(tokens, patterns, [ids[token.content] for token in tokens])

    def tokenize(texts: tf.Tensor, unit: Unit | None = None) -> Pieces:
        stretches = splitter(texts)
        inner = wordpiece(stretches.texts, None if unit is None else "byte")
        pieces = token_splitting.rejoin(stretches, inner, unit is not None)
        return wordpiece.in_characters(texts, pieces) if unit == "char" else pieces

    return tokenize


def _alphabet(added: Sequence[AddedToken]) -> set[str]:
    """The characters that normalised text must keep apart for added tokens to be found."""
    chars = set().union(*(code_points.forms(token.content) for token in added))
    if any(token.single_word for token in added):
        # Other characters are taken for letters, next to which such a token is left alone.
        codes = np.flatnonzero(code_points.unicode().kind[:_BEYOND_SYMBOLS] == OTHER)
        others = [chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF]
        with tf.init_scope(), tf.device("CPU:0"):
            marks = tf.strings.regex_full_match(others, _SYMBOL).numpy()
        chars |= {char for char, is_symbol in zip(others, marks, strict=True) if is_symbol}
    return chars - {code_points.UNKNOWN_LETTER}


def _compile(pieces: Sequence[str], max_word_chars: int) -> np.ndarray:
    """The op's model of a vocabulary, uint8 [bytes]."""
    build = pywrap_fast_wordpiece_tokenizer_model_builder.build_fast_wordpiece_model
    # Words of more characters never reach the op; no other is longer than this.
    longest = 4 * max_word_chars
    try:
        model = build(list(pieces), longest, "##", vocabulary.UNKNOWN, False, False)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"vocabulary of {len(pieces)} pieces: the WordPiece op cannot take it "
            f"({' '.join(str(error).split())})"
        ) from error
    return np.frombuffer(bytes(model), np.uint8)
