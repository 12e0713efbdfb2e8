"""The words for the masks of texts, as a user passes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bert_keras.errors import UserError
from bert_keras.tasks import input_checks
from bert_keras.tasks.filled_text import MASK
from bert_keras.tokenization import BertTokenizer


def masked_words(y: Any, texts: Sequence[str], tokenizer: BertTokenizer, name: str) -> np.ndarray:
    """Returns the words, or the ids, for the masks of each text, `[N, masks]`.

    Args:
        y: for each text its words or their ids, as a list, or alone where it has one mask.
        texts: N texts.
        tokenizer: of the model.
        name: the argument.

    Raises:
        UserError: a text has another number of masks, or a word is not one token.
    """
    if isinstance(y, np.ndarray) and y.ndim == 2:
        y = list(y)
    given = [_parts(row) for row in input_checks.elements(y, name, "words for the masks")]
    input_checks.check_count(len(given), name, len(texts), "x")
    single = _single_tokens([part for row in given for part in row], tokenizer)
    expected = f"a word of one token, or an id below {tokenizer.vocab_size}"
    rows: list[list[str | int]] = []
    for index, (row, text) in enumerate(zip(given, texts, strict=True)):
        where, masks = input_checks.place(y, name, index), text.count(MASK)
        if len(row) != masks or not masks:
            raise UserError(
                f"{where} has {len(row)} words; expected {masks}, as its text has {MASK}"
            )
        if rows and masks != len(rows[0]):
            raise UserError(f"{where} has {masks} words; expected {len(rows[0])}, as {name}[0]")
        rows.append([])
        for position, value in enumerate(row):
            word = value if value in single else input_checks.whole_number(value)
            if word is None or (isinstance(word, int) and not 0 <= word < tokenizer.vocab_size):
                raise input_checks.unexpected(row, where, position, value, expected)
            rows[-1].append(word)
    input_checks.one_kind([row[0] for row in rows], y, name)
    return np.asarray(rows)


def _parts(row: Any) -> list[Any]:
    """Returns the words of a text as a list, bytes as strings."""
    values = [row] if isinstance(row, (str, bytes)) or not isinstance(row, Iterable) else list(row)
    return [
        value.decode("utf-8", errors="ignore") if isinstance(value, bytes) else value
        for value in values
    ]


def _single_tokens(values: Sequence[Any], tokenizer: BertTokenizer) -> set[str]:
    """Returns the words among the values that are one token."""
    words = sorted({value for value in values if isinstance(value, str)})
    lengths = tokenizer.tokenize(words).row_lengths().numpy() if words else []
    return {word for word, length in zip(words, lengths, strict=True) if length == 1}
