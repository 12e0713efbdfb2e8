"""Whether a vocabulary is the one that a model was trained with, as far as sizes tell."""

from __future__ import annotations

from bert_keras.errors import UserError

# Tables are sometimes padded with unused rows to a multiple of at most this, for speed.
_LARGEST_PADDING = 128


def check_vocabulary(tokens: int, table: int, source: str) -> None:
    """A UserError unless a vocabulary fits a word-embedding table.

    They fit when they are of one size, or when the table is the vocabulary padded to a
    multiple of 8 with fewer than 128 rows.

    Args:
        tokens: entries of the vocabulary.
        table: the model's `vocab_size`.
        source: where the vocabulary is, for the message.
    """
    padded = tokens < table < tokens + _LARGEST_PADDING and table % 8 == 0
    if tokens != table and not padded:
        raise UserError(
            f"{source}: the vocabulary has {tokens} entries, the model's vocab_size is {table}"
        )
