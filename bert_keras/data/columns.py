"""The columns of a table that hold the text, its pair and the label."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bert_keras.data.annotation_forms import converter_hint
from bert_keras.data.tables import Table, listed
from bert_keras.errors import UserError

# Names that data sets use, the more particular first: QNLI has both `question` and `sentence`.
# MRPC's file has "#1 String"; QQP's question1; MNLI and SNLI in TFDS have premise; SICK sentence_A.
_PAIRS = (
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("premise", "hypothesis"),
    ("text_a", "text_b"),
    ("#1 String", "#2 String"),
    ("sentence_A", "sentence_B"),
)
_TEXTS = ("text", "sentence", "review", *dict.fromkeys(first for first, _ in _PAIRS[1:]))
# MNLI calls it gold_label, QQP is_duplicate, MRPC Quality, STS-B score.
_LABELS = ("label", "gold_label", "is_duplicate", "Quality", "score", "labels")
_KNOWN = {name.lower() for name in (*_TEXTS, *_LABELS, *(second for _, second in _PAIRS))}


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the columns in use; `pair` and `label` are None where there is none."""

    text: str
    pair: str | None
    label: str | None


def is_known_name(name: str) -> bool:
    """Returns whether a column of this name is found without being named."""
    return name.strip().lower() in _KNOWN


def is_text_name(name: str) -> bool:
    """Returns whether a column of this name is taken for texts without being named."""
    return name.strip().lower() in {text.lower() for text in _TEXTS}


def choose_columns(
    table: Table,
    text_column: str | None,
    pair_column: str | None,
    label_column: str | None,
    labelled: bool,
) -> Columns:
    """Returns the named columns, or else those that go by a known name.

    A text column that is named without a pair column means single texts, also where the table
    holds pairs.

    Raises:
        UserError: a named column is not there, or nothing there goes by a known name.
    """
    text = named_column(table, "text_column", text_column)
    pair = named_column(table, "pair_column", pair_column)
    label = named_column(table, "label_column", label_column) if labelled else None
    if text is None:
        text, pair = _known_text(table, pair)
    if not labelled:
        return Columns(text, pair, None)
    label = label or label_column_of(table)
    if label is None:
        raise UserError(_none_of(table, "label", _LABELS))
    if _holds_spans(table, label) and (hint := converter_hint(table)):
        raise UserError(f"{table.header}: column {label!r} holds spans, expected labels{hint}")
    return Columns(text, pair, label)


def named_column(table: Table, argument: str, given: str | None) -> str | None:
    """Returns the column that `given` names, in the table's own spelling; None for None.

    Raises:
        UserError: there is no such column.
    """
    if given is None:
        return None
    found = first_column(table, (given,))
    if found is None:
        raise UserError(
            f"{table.header}: {argument}={given} is not among the columns {listed(table.columns)}"
        )
    return found


def label_column_of(table: Table) -> str | None:
    """Returns the column that goes by a known name of labels or scores, None where none does."""
    return first_column(table, _LABELS)


def _known_text(table: Table, pair: str | None) -> tuple[str, str | None]:
    if pair is None:
        for names in _PAIRS:
            first, second = (first_column(table, (name,)) for name in names)
            if first is not None and second is not None:
                return first, second
    known = [name for name in _TEXTS if pair is None or name.lower() != pair.lower()]
    text = first_column(table, known)
    if text is None:
        raise UserError(_none_of(table, "text", _TEXTS))
    return text, pair


def first_column(table: Table, names: Sequence[str]) -> str | None:
    """Returns the first of the names that a column has, as the table spells it; else None.

    Upper and lower case are told apart only where two columns differ in nothing else.
    """
    folded = {column.lower(): column for column in reversed(table.columns)}
    for name in names:
        if name in table.columns:
            return name
        if name.lower() in folded:
            return folded[name.lower()]
    return None


def _none_of(table: Table, kind: str, known: Sequence[str]) -> str:
    message = (
        f"{table.header}: no {kind} column; the columns are {listed(table.columns)}, expected one "
        f"of {listed(known)}, or {kind}_column=NAME"
    )
    if hint := converter_hint(table):
        return message + hint
    if _nests(table):
        return f"{message}; values inside of objects are not read, write them to columns"
    if table.header_line and not any(map(is_known_name, table.columns)):
        hint = "is a row, the file has no header: give the columns' numbers, such as"
        return f"{message}; if line {table.header_line} {hint} {kind}_column=1"
    return message


def _holds_spans(table: Table, column: str) -> bool:
    """Returns whether a column begins with a value that may hold spans."""
    return bool(table.rows) and isinstance(table.rows[0][table.columns.index(column)], (list, dict))


def _nests(table: Table) -> bool:
    return bool(table.rows) and any(isinstance(value, dict) for value in table.rows[0])
