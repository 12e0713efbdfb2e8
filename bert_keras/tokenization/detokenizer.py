"""Ids back to readable text, in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bert_keras.tokenization import vocabulary

# Spaces that tokenization put round punctuation, by what English writing does without.
_TIDY = (
    (r" ##", ""),
    (r" ([.,!?;:%)\]}])", r"\1"),
    (r"([(\[{]) ", r"\1"),
    (r"(\w) ' (\w)", r"\1'\2"),
    (r"(\w) ([-/]) (\w)", r"\1\2\3"),
    # No spaces between ideographs, kana and full-width punctuation; twice, because one
    # match takes the character that the next one begins with.
    (r"([\x{3000}-\x{9FFF}\x{FF00}-\x{FFEF}]) ([\x{3000}-\x{9FFF}\x{FF00}-\x{FFEF}])", r"\1\2"),
    (r"([\x{3000}-\x{9FFF}\x{FF00}-\x{FFEF}]) ([\x{3000}-\x{9FFF}\x{FF00}-\x{FFEF}])", r"\1\2"),
)
_SILENT = (vocabulary.PAD, vocabulary.CLS, vocabulary.SEP)


class Detokenizer:
    """Joins pieces; holds the vocabulary as a constant."""

    def __init__(self, pieces: Sequence[str]):
        with tf.init_scope():
            self._pieces = tf.constant(list(pieces))
            self._silent = tf.constant([pieces.index(token) for token in _SILENT])

    def __call__(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """Ragged int32 [rows, (tokens)] to string [rows]; [PAD], [CLS], [SEP] are left out."""
        silent = tf.reduce_any(ids.values[:, tf.newaxis] == self._silent, axis=1)
        ids = tf.ragged.boolean_mask(ids, ids.with_values(~silent))
        words = ids.with_values(tf.gather(self._pieces, ids.values))
        text = tf.strings.reduce_join(words, axis=-1, separator=" ")
        for pattern, replacement in _TIDY:
            text = tf.strings.regex_replace(text, pattern, replacement)
        return text
