"""Labelled texts from any data source, checked row by row."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from bert_keras.data import tables
from bert_keras.data.columns import Columns, choose_columns
from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError

_READERS: dict[str, Callable[[str, Sequence[str]], tables.Table]] = {
    ".tsv": tables.read_tsv,
    ".csv": tables.read_csv,
    ".jsonl": tables.read_jsonl,
}


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts with their labels, in memory, in the order of the source.

    Attributes:
        texts: N texts.
        pairs: N second texts, or None where an example is a single text.
        labels: N labels as written in the source, or None where they were not asked for.
        source: the file or the TFDS name, as messages name it.
        lines: N line numbers (of a TFDS split: example numbers), from 1.
        columns: the names of the columns that were read.
    """

    texts: list[str]
    pairs: list[str] | None
    labels: list[str] | None
    source: str
    lines: list[int]
    columns: Columns

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, index: int) -> str:
        """`source:line` of one example, to begin a message with."""
        return f"{self.source}:{self.lines[index]}"

    def label_set(self) -> list[str]:
        """The distinct labels, sorted; as numbers where every one is a whole number.

        Raises:
            UserError: fewer than two labels occur, or there are none to look at.
        """
        distinct = set(self.labels or ())
        if len(distinct) < 2:
            raise UserError(
                f"{self.source}: received {tables.listed(sorted(distinct)) or 'no labels'} as "
                f"the only label, expected at least two different ones"
            )
        if all(label.removeprefix("-").isdecimal() for label in distinct):
            return sorted(distinct, key=lambda label: (int(label), label))
        return sorted(distinct)

    def label_ids(self, labels: Sequence[str]) -> list[int]:
        """The index in `labels` of each example's label, N numbers.

        Raises:
            UserError: an example's label is not among them; names its file and line.
        """
        if self.labels is None:
            raise UserError(f"{self.source}: was read without labels")
        index = {label: position for position, label in enumerate(labels)}
        for row, label in enumerate(self.labels):
            if label not in index:
                raise UserError(
                    f"{self.where(row)}: unknown label {tables.shorten(label)!r}, expected one "
                    f"of {tables.listed(labels)}"
                )
        return [index[label] for label in self.labels]


def read_examples(
    spec: str | pathlib.Path,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    tfds_dir: str | pathlib.Path | None = None,
    labelled: bool = True,
) -> Examples:
    """Reads a `.tsv`, `.csv` or `.jsonl` file (or `.gz` of one) or `tfds:NAME/CONFIG:SPLIT`.

    Columns go by their usual names (text, sentence, sentence1 …, label; those of all GLUE
    tasks are known) unless they are given. Unlabelled texts may also be a `.txt` file with a
    text a line, or `-` for the standard input: JSON lines if its first line is a JSON object,
    else a text a line. An empty text is an example like any other; an empty label is an error.

    Args:
        spec: the file or the TFDS name; the part of it after the last colon is the split.
        tfds_dir: where TFDS keeps its data, its own default if None.
        labelled: whether a label is expected; if not, a label column is not read.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    if str(spec).startswith("tfds:"):
        from bert_keras.data.tfds_source import read_tfds

        table = read_tfds(str(spec), tfds_dir)
    else:
        table = _read_file(str(spec), labelled)
    columns = choose_columns(
        table.source, table.columns, text_column, pair_column, label_column, labelled
    )
    return Examples(
        texts=_values(table, columns.text, _text),
        pairs=None if columns.pair is None else _values(table, columns.pair, _text),
        labels=None if columns.label is None else _values(table, columns.label, _label),
        source=table.source,
        lines=table.lines,
        columns=columns,
    )


def _read_file(spec: str, labelled: bool) -> tables.Table:
    suffix = pathlib.Path(spec.removesuffix(".gz")).suffix.lower()
    if suffix in _READERS:
        return _READERS[suffix](spec, read_lines(spec))
    if not labelled and (spec == "-" or suffix == ".txt"):
        lines = read_lines(spec)
        if spec == "-" and tables.is_json_object(lines[0]):
            return tables.read_jsonl("standard input", lines)
        return tables.read_plain("standard input" if spec == "-" else spec, lines)
    expected = "a name that ends in .tsv, .csv or .jsonl, or tfds:NAME/CONFIG:SPLIT"
    if not labelled:
        expected = expected.replace(".csv or .jsonl", ".csv, .jsonl or .txt, or -")
    raise UserError(f"{spec}: is no known kind of data, expected {expected}")


def _values(table: tables.Table, column: str, convert: Callable[[Any], str]) -> list[str]:
    place = table.columns.index(column)
    values = []
    for line, row in zip(table.lines, table.rows, strict=True):
        try:
            values.append(convert(row[place]))
        except ValueError as error:
            raise UserError(f"{table.source}:{line}: column {column!r} {error}") from None
    return values


def _text(value: Any) -> str:
    if value is tables.MISSING:
        raise ValueError("is missing, expected a text")
    if not isinstance(value, str):
        raise ValueError(f"holds {tables.as_json(value)}, expected a text")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"is not valid Unicode at character {error.start + 1}, expected UTF-8 text"
            ) from None
    return value


def _label(value: Any) -> str:
    if value is tables.MISSING:
        raise ValueError("is missing, expected a label")
    if isinstance(value, (bool, int, float)):
        return tables.as_json(value)
    if not isinstance(value, str):
        raise ValueError(f"holds {tables.as_json(value)}, expected a label")
    label = _text(value).strip()
    if not label:
        raise ValueError("is empty, expected a label")
    return label
