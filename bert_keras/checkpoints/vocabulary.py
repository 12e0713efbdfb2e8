"""Checks of a vocabulary, and of the length of rows, against the sizes of a model."""

from __future__ import annotations

import warnings

from bert_keras.errors import UserError

# Tables are sometimes padded with unused rows to a multiple of at most this, for speed.
_LARGEST_PADDING = 128


def check_vocabulary(tokens: int, table: int, source: str) -> None:
    """Raises a UserError when a word-embedding table has fewer rows than a vocabulary.

    A larger table is taken with a warning: its last rows are no token's, and no text reaches
    them. The warning is left out where the table is the vocabulary padded to a multiple of 8 with
    fewer than 128 rows.

    Args:
        tokens: entries of the vocabulary, added tokens included.
        table: the model's `vocab_size`.
        source: where the vocabulary is, for the message.
    """
    if tokens > table:
        raise UserError(
            f"{source}: the vocabulary has {tokens} entries, the model's vocab_size is {table}; "
            "expected the vocabulary that the model was trained with"
        )
    padded = table < tokens + _LARGEST_PADDING and table % 8 == 0
    if tokens != table and not padded:
        warnings.warn(
            f"{source}: the vocabulary has {tokens} entries, the model's vocab_size is {table}; "
            f"rows {tokens} to {table - 1} of its table are no token's",
            stacklevel=3,
        )
