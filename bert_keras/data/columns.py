"""Which columns of a table hold the text, its pair and the label."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bert_keras.data.tables import listed
from bert_keras.errors import UserError

# Names that data sets use, the more particular first: QNLI has both `question` and `sentence`.
# MRPC's file has "#1 String"; QQP's question1; MNLI and SNLI in TFDS have premise.
_PAIRS = (
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("premise", "hypothesis"),
    ("text_a", "text_b"),
    ("#1 String", "#2 String"),
)
_TEXTS = ("text", "sentence", "review", *dict.fromkeys(first for first, _ in _PAIRS[1:]))
# MNLI calls it gold_label, QQP is_duplicate, MRPC Quality, STS-B score.
_LABELS = ("label", "gold_label", "is_duplicate", "Quality", "score", "labels")


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the columns in use; `pair` and `label` are None where there is none."""

    text: str
    pair: str | None
    label: str | None


def choose_columns(
    header: str,
    there: Sequence[str],
    text_column: str | None,
    pair_column: str | None,
    label_column: str | None,
    labelled: bool,
) -> Columns:
    """The named columns, or else those that go by a known name.

    A text column that is named without a pair column means single texts, also where the table
    holds pairs. `header` is where the columns are named, for messages.

    Raises:
        UserError: a named column is not there, or nothing there goes by a known name.
    """
    named = {
        "--text_column": text_column,
        "--pair_column": pair_column,
        "--label_column": label_column if labelled else None,
    }
    for flag, name in named.items():
        if name is not None and name not in there:
            raise UserError(f"{header}: {flag}={name} is not among the columns {listed(there)}")
    if text_column is None:
        text_column, pair_column = _known_text(header, there, pair_column)
    if not labelled:
        return Columns(text_column, pair_column, None)
    label_column = label_column or label_column_of(there)
    if label_column is None:
        raise UserError(
            f"{header}: no label column; the columns are {listed(there)}, expected one of "
            f"{listed(_LABELS)}, or --label_column"
        )
    return Columns(text_column, pair_column, label_column)


def label_column_of(there: Sequence[str]) -> str | None:
    """The column that goes by a known name of labels or scores, None where none does."""
    return _first(_LABELS, there)


def _known_text(
    header: str, there: Sequence[str], pair_column: str | None
) -> tuple[str, str | None]:
    if pair_column is None:
        for first, second in _PAIRS:
            if first in there and second in there:
                return first, second
    text_column = _first([name for name in _TEXTS if name != pair_column], there)
    if text_column is None:
        raise UserError(
            f"{header}: no text column; the columns are {listed(there)}, expected one of "
            f"{listed(_TEXTS)}, or --text_column"
        )
    return text_column, pair_column


def _first(names: Sequence[str], there: Sequence[str]) -> str | None:
    return next((name for name in names if name in there), None)
