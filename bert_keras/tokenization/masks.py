"""Texts whose masked words are written as [MASK]."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.tokenization import vocabulary
from bert_keras.tokenization.wordpiece import WordPiece


def tokenize(wordpiece: WordPiece, texts: tf.Tensor, mask_id: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Ids of texts in which "[MASK]", written just so, is the id `mask_id`.

    Args:
        wordpiece: what tokenizes the rest, each stretch between two masks by itself.
        texts: string [rows].
        mask_id: id of [MASK].

    Returns:
        int32 [tokens], the ids of all rows on end, and int64 [rows + 1], where each begins and
        ends.
    """
    parts = tf.strings.split(texts, vocabulary.MASK)  # [rows, (parts)]
    pieces = wordpiece(parts.values)
    ids = tf.RaggedTensor.from_row_splits(pieces.ids, pieces.row_splits, validate=False)
    closed = tf.concat([ids, tf.fill([ids.nrows(), 1], mask_id)], axis=1)
    # The last stretch of a row has no mask behind it.
    rows = parts.with_values(closed).merge_dims(1, 2)[:, :-1]
    return rows.values, rows.row_splits
