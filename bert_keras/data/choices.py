"""Questions with several choices, one of them right, from any data source."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.columns import first_column, named_column
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import (
    as_label,
    as_text,
    read_columns,
    read_table,
    whole_labels,
)
from bert_keras.data.tables import MISSING, Table, as_json, listed, shorten
from bert_keras.errors import UserError

_CONTEXTS = ("context", "question", "sent1")
# What SWAG begins every choice with.
_BEGINNING = "sent2"
_CHOICES = "choices"
_NUMBERED = re.compile(r"(ending|choice|answer|option)_?(\d+)", re.IGNORECASE)
_LABEL = "label"


@dataclasses.dataclass(frozen=True)
class ChoiceExamples:
    """Contexts with their choices, in memory, in the order of the source.

    Attributes:
        contexts: N texts that the choices answer or go on from.
        choices: N lists of two texts or more, of any lengths.
        labels: N indices of the right choice, from 0, or None where they were not asked for.
        source: the file or the TFDS name, as messages name it.
        lines: N line numbers (of a TFDS split: example numbers), from 1.
    """

    contexts: list[str]
    choices: list[list[str]]
    labels: list[int] | None
    source: str
    lines: list[int]

    def __len__(self) -> int:
        return len(self.contexts)

    def where(self, index: int) -> str:
        """`source:line` of one example, to begin a message with."""
        return f"{self.source}:{self.lines[index]}"

    def row(self, index: int) -> dict[str, Any]:
        """One example as JSON: `context`, `choices` and, of a labelled one, `label`."""
        row = {"context": self.contexts[index], "choices": self.choices[index]}
        return row if self.labels is None else {**row, "label": self.labels[index]}

    def part(self, start: int, stop: int) -> ChoiceExamples:
        """The examples from `start` to before `stop`."""
        inside = slice(start, stop)
        return dataclasses.replace(
            self,
            contexts=self.contexts[inside],
            choices=self.choices[inside],
            labels=None if self.labels is None else self.labels[inside],
            lines=self.lines[inside],
        )


def examples_of_choices(
    contexts: Sequence[str], choices: Sequence[Sequence[str]], labels: Sequence[int] | None = None
) -> ChoiceExamples:
    """Examples from lists; choices that are empty texts, which stand for none, are left out.

    Raises:
        ValueError: the lists differ in length.
        UserError: an example has fewer than two choices, or a label is not one of them.
    """
    if len(choices) != len(contexts) or (labels is not None and len(labels) != len(contexts)):
        counts = [len(part) for part in (contexts, choices, labels) if part is not None]
        raise ValueError(f"contexts, choices and labels differ in number: {counts}")
    lines = list(range(1, len(contexts) + 1))
    return _checked("the inputs", lines, list(contexts), [list(c) for c in choices], labels)


def read_choices(source: DataSource, labelled: bool = True) -> ChoiceExamples:
    """Reads a `.tsv`, `.csv` or `.jsonl` file (or `.gz` of one) or a TFDS split.

    JSON lines have `context` and `choices`, a list of texts. Tables have a column for each
    choice: `ending0`, `ending1`, … (or `choice`, `answer`, `option`, from 0 or 1). SWAG's
    (Zellers et al. 2018) `sent1` is the context and its `sent2` the beginning of every choice.
    CODAH's files (Chen et al. 2019) are known by their columns. `label` is the number of the
    right choice, from 0. Last columns that are empty are no choices of a row.

    Args:
        source: the file; its `text_column` is the context, its `pair_column` the beginning of
            every choice.
        labelled: whether a label is expected; if not, a label column is not read.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    return choices_of_table(read_table(source, labelled), source, labelled)


def choices_of_table(table: Table, source: DataSource, labelled: bool = True) -> ChoiceExamples:
    """Returns the examples of a table; `source` says which columns, and what of bad rows."""
    context = _column(table, "text_column", source.text_column, _CONTEXTS)
    beginning = named_column(table, "pair_column", source.pair_column)
    if beginning is None and context.lower() == "sent1":
        beginning = first_column(table, (_BEGINNING,))
    choices = _choice_columns(table)
    converters: dict[str, Callable[[Any], Any]] = {context: as_text}
    converters |= dict.fromkeys(choices, _as_texts if choices == [_CHOICES] else _as_choice)
    if beginning is not None:
        converters[beginning] = as_text
    if labelled:
        label = _column(table, "label_column", source.label_column, (_LABEL,))
        converters[label] = _as_number
    values, lines = read_columns(table, converters, source.bad_rows)
    by_name = dict(zip(converters, values, strict=True))
    rows = by_name[_CHOICES] if choices == [_CHOICES] else _rows(by_name, choices)
    if beginning is not None:
        rows = [
            [f"{start} {choice}".strip() if choice else "" for choice in row]
            for start, row in zip(by_name[beginning], rows, strict=True)
        ]
    labels = by_name[label] if labelled else None
    return _checked(table.source, lines, by_name[context], rows, labels, source.bad_rows)


def _rows(by_name: Mapping[str, list[str]], columns: Sequence[str]) -> list[list[str]]:
    return [list(row) for row in zip(*(by_name[name] for name in columns), strict=True)]


def _column(table: Table, argument: str, given: str | None, usual: Sequence[str]) -> str:
    found = named_column(table, argument, given) or first_column(table, usual)
    if found is None:
        raise UserError(
            f"{table.header}: the columns are {listed(table.columns)}, expected {listed(usual)}, "
            f"or {argument}=NAME"
        )
    return found


def _choice_columns(table: Table) -> list[str]:
    """Returns the columns that hold the choices: one with lists of them, or one for each."""
    if _CHOICES in table.columns:
        return [_CHOICES]
    numbered: dict[str, list[tuple[int, str]]] = {}
    for name in table.columns:
        if match := _NUMBERED.fullmatch(name):
            numbered.setdefault(match[1].lower(), []).append((int(match[2]), name))
    columns = max(numbered.values(), key=len, default=[])
    numbers = sorted(number for number, _ in columns)
    if len(numbers) < 2 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise UserError(
            f"{table.header}: the columns are {listed(table.columns)}, expected choices, or "
            "ending0, ending1 and so on (ending, choice, answer or option)"
        )
    return [name for _, name in sorted(columns)]


def _as_choice(value: Any) -> str:
    return "" if value is MISSING or value is None else as_text(value)


def _as_texts(value: Any) -> list[str]:
    if value is MISSING:
        raise ValueError("is missing, expected a list of texts")
    if not isinstance(value, list):
        raise ValueError(f"holds {as_json(value)}, expected a list of texts")
    texts = [as_text(text) for text in value]
    if "" in texts:
        raise ValueError(f"holds an empty text as choice {texts.index('')}")
    return texts


def _as_number(value: Any) -> int:
    (label,) = whole_labels([as_label(value)])
    if not (label.isascii() and label.isdecimal()):
        raise ValueError(f"holds {shorten(label)!r}, expected the number of a choice, from 0")
    return int(label)


def _checked(
    source: str,
    lines: list[int],
    contexts: list[str],
    choices: list[list[str]],
    labels: Sequence[int] | None,
    bad_rows: BadRows | None = None,
) -> ChoiceExamples:
    """Returns the examples, without the empty texts that stand for no choice at a row's end."""
    kept = []
    choices = [_without_last_empty(row) for row in choices]
    for index, row in enumerate(choices):
        problem = _problem(row, None if labels is None else int(labels[index]))
        if problem is None:
            kept.append(index)
            continue
        values = {"context": contexts[index], "choices": row}
        (bad_rows or BadRows()).reject(f"{source}:{lines[index]}", problem, values)
    return ChoiceExamples(
        [contexts[index] for index in kept],
        [choices[index] for index in kept],
        None if labels is None else [int(labels[index]) for index in kept],
        source,
        [lines[index] for index in kept],
    )


def _problem(row: Sequence[str], label: int | None) -> str | None:
    """Returns why choices and the number of the right one make no example; None if they do."""
    if "" in row:
        return f"choice {row.index('')} is empty and later ones are not"
    if len(row) < 2:
        return f"received {len(row)} choice(s), expected two or more"
    if label is not None and not 0 <= label < len(row):
        return f"label {label} is not the number of a choice, expected 0 to {len(row) - 1}"
    return None


def _without_last_empty(row: list[str]) -> list[str]:
    count = len(row)
    while count and not row[count - 1]:
        count -= 1
    return row[:count]
