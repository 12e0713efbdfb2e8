"""Tables from any source, and checked values of their columns."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bert_keras.data import tables
from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError

T = TypeVar("T")

_READERS: dict[str, Callable[[str, Sequence[str]], tables.Table]] = {
    ".tsv": tables.read_tsv,
    ".csv": tables.read_csv,
    ".jsonl": tables.read_jsonl,
    # CLUE's names for the same.
    ".json": tables.read_jsonl,
}


def read_table(
    spec: str, tfds_dir: str | pathlib.Path | None = None, labelled: bool = True
) -> tables.Table:
    """The table of a `.tsv`, `.csv` or `.jsonl` file (or `.gz` of one) or of a TFDS split.

    A `.json` file is taken for JSON lines.

    Where no labels are expected, a `.txt` file with a text a line and `-`, the standard input,
    are tables too; that is JSON lines if its first line is a JSON object, else a text a line.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    if spec.startswith("tfds:"):
        from bert_keras.data.tfds_source import read_tfds

        return read_tfds(spec, tfds_dir)
    return _read_file(spec, labelled)


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


def column_values(table: tables.Table, column: str, convert: Callable[[Any], T]) -> list[T]:
    """The values of a column, each as `convert` gives it; its ValueErrors name file and line."""
    place = table.columns.index(column)
    values = []
    for line, row in zip(table.lines, table.rows, strict=True):
        try:
            values.append(convert(row[place]))
        except ValueError as error:
            raise UserError(f"{table.source}:{line}: column {column!r} {error}") from None
    return values


def as_text(value: Any) -> str:
    """A value of a table that is a text.

    Raises:
        ValueError: it is none, or is not valid Unicode.
    """
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


def as_label(value: Any) -> str:
    """A value of a table that is a label, as it is written there.

    Raises:
        ValueError: it is none, or is empty.
    """
    if value is tables.MISSING:
        raise ValueError("is missing, expected a label")
    if isinstance(value, (bool, int, float)):
        return tables.as_json(value)
    if not isinstance(value, str):
        raise ValueError(f"holds {tables.as_json(value)}, expected a label")
    label = as_text(value).strip()
    if not label:
        raise ValueError("is empty, expected a label")
    return label


def as_number(value: Any) -> float:
    """A value of a table that is a score.

    Raises:
        ValueError: it is not a finite number.
    """
    written = as_label(value)
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"holds {tables.shorten(written)!r}, expected a number")
    return number


def as_label_list(value: Any) -> list[str]:
    """A value of a table that is any number of labels: a list, or a text with commas between.

    An empty text, an empty list and a null are no labels.

    Raises:
        ValueError: one of them is empty or no label, or occurs twice.
    """
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(",") if value.strip() else []
    labels = [as_label(one) for one in value] if isinstance(value, list) else [as_label(value)]
    repeated = {label for label in labels if labels.count(label) > 1}
    if repeated:
        raise ValueError(f"has the label {tables.shorten(min(repeated))} more than once")
    return labels
