"""Tables with a header: tab separated, comma separated, JSON lines and plain text."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from bert_keras.errors import UserError

# The csv module refuses fields above 128 KiB; a text may be longer.
_LONGEST_FIELD = 2**31 - 1

# Stands for the value of a key that a JSON line does not have.
MISSING = object()

_COLA_COLUMNS = ["source", "label", "original_label", "sentence"]
_CODAH_COLUMNS = ["category", "question", "answer0", "answer1", "answer2", "answer3", "label"]
_CODAH_CATEGORIES = ("i", "n", "o", "p", "q", "r", "")
_QQP_COLUMNS = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]
_STSB_COLUMNS = ["genre", "file", "year", "old_index", "score", "sentence1", "sentence2"]
_STSB_GENRES = ("main-captions", "main-forum", "main-forums", "main-news")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of values under named columns.

    Attributes:
        source: the file, as messages name it.
        columns: names, in the file's order.
        rows: one sequence of values per row, as many as there are columns. Values are strings;
            JSON lines also have numbers, booleans and nulls.
        lines: the line of the file on which each row starts, from 1.
        classes: of columns that hold classes in an order of their own, their names in it.
    """

    source: str
    columns: list[str]
    rows: Sequence[Sequence[Any]]
    lines: list[int]
    classes: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @property
    def header(self) -> str:
        """Where the columns have their names: a file's first line, a TensorFlow dataset."""
        return self.source if self.source.startswith("tfds:") else f"{self.source}:1"


def read_tsv(source: str, lines: Sequence[str]) -> Table:
    """Tab separated values as GLUE writes them: a quotation mark is a character like any other.

    Three data sets have no header and are known by their columns: CoLA by its four (source,
    label, star or nothing, sentence), CODAH by its seven (a letter or nothing for the category,
    question, four answers, the right one's number from 0), and STS-B by its genres (genre, file,
    year, index, score, two sentences; what some rows have beyond, a source, is not read).

    Rows of QQP's published file that are cut short are left out with a warning.

    Raises:
        UserError: a row has another number of fields than the header.
    """
    rows = [line.split("\t") for line in lines]
    if _is_stsb(rows[0]):
        return _read_stsb(source, rows)
    if _is_cola(rows[0]):
        return _table(source, _COLA_COLUMNS, rows, range(1, len(rows) + 1))
    if _is_codah(rows[0]):
        return _table(source, _CODAH_COLUMNS, rows, range(1, len(rows) + 1))
    if rows[0] == _QQP_COLUMNS:
        return _read_qqp(source, rows)
    return _table(source, rows[0], rows[1:], range(2, len(rows) + 1))


def _read_qqp(source: str, rows: Sequence[Sequence[str]]) -> Table:
    width = len(_QQP_COLUMNS)
    whole: list[int] = []
    cut: list[int] = []
    for line, row in enumerate(rows[1:], start=2):
        (whole if len(row) >= width else cut).append(line)
    if cut:
        logging.warning(
            "%s:%d: left out this row and %d more, which have fewer than %d fields",
            *(source, cut[0], len(cut) - 1, width),
        )
    return _table(source, _QQP_COLUMNS, [rows[line - 1] for line in whole], whole)


def _is_cola(row: Sequence[str]) -> bool:
    return len(row) == 4 and row[1] in ("0", "1") and row[2] in ("", "*")


def _is_codah(row: Sequence[str]) -> bool:
    return len(row) == 7 and row[0] in _CODAH_CATEGORIES and row[6] in ("0", "1", "2", "3")


def _is_stsb(row: Sequence[str]) -> bool:
    return len(row) >= len(_STSB_COLUMNS) and row[0] in _STSB_GENRES


def _read_stsb(source: str, rows: Sequence[Sequence[str]]) -> Table:
    width = len(_STSB_COLUMNS)
    kept = [row[:width] for row in rows]
    return _table(source, _STSB_COLUMNS, kept, range(1, len(rows) + 1))


def read_csv(source: str, lines: Sequence[str]) -> Table:
    """Comma separated values by RFC 4180: quoted fields may hold commas, quotes and lines.

    STS-B's own files, which are tab separated whatever their name says, are known as in
    `read_tsv`.

    Raises:
        UserError: a quoted field is not closed or is followed by other text, or a row has
            another number of fields than the header.
    """
    if _is_stsb(lines[0].split("\t")):
        return read_tsv(source, lines)
    records = list(_csv_records(source, lines))
    (_, header), body = records[0], records[1:]
    return _table(source, header, [row for _, row in body], [line for line, _ in body])


def _csv_records(source: str, lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it starts."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{source}:{first}: {error}; expected comma separated values with quotes "
                'doubled inside quoted fields, like "say ""so"""'
            ) from None
        # The module gives no field for a blank line; it is one empty field.
        yield first, row or [""]


def read_jsonl(source: str, lines: Sequence[str]) -> Table:
    """One JSON object a line; the first line's keys are the columns.

    Later lines may have further keys, which are not read; the value of a key that they lack
    is `MISSING`.

    Raises:
        UserError: a line is not a JSON object.
    """
    objects = [_json_object(source, number, line) for number, line in enumerate(lines, start=1)]
    columns = list(objects[0])
    rows = [[values.get(name, MISSING) for name in columns] for values in objects]
    return Table(source, columns, rows, list(range(1, len(rows) + 1)))


def _json_object(source: str, number: int, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{source}:{number}: not JSON at character {error.colno} ({error.msg}), "
            "expected an object a line"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}:{number}: not JSON ({error}), expected an object") from None
    if not isinstance(values, dict):
        raise UserError(
            f"{source}:{number}: received the JSON value {shorten(line)}, expected an object"
        )
    return values


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def is_json_object(line: str) -> bool:
    """Whether a line is a whole JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def read_plain(source: str, lines: Sequence[str]) -> Table:
    """Plain text: every line is the one value of a row, under the column `text`."""
    return Table(source, ["text"], [[line] for line in lines], list(range(1, len(lines) + 1)))


def _table(
    source: str, columns: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[int]
) -> Table:
    repeated = {name for name in columns if list(columns).count(name) > 1}
    if repeated:
        raise UserError(f"{source}:1: the header has the column {min(repeated)!r} more than once")
    if not rows:
        raise UserError(
            f"{source}: the file has a header and no rows; its columns are {listed(columns)}"
        )
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(columns):
            raise UserError(
                f"{source}:{line}: received {len(row)} field(s), expected {len(columns)} "
                f"({listed(columns)})"
            )
    return Table(source, list(columns), list(rows), list(lines))


def listed(names: Sequence[str]) -> str:
    """Names for a message, each shortened: a file without a header gives whole sentences."""
    return ", ".join(shorten(name) for name in names)


def shorten(value: object, limit: int = 40) -> str:
    """A value as a message shows it, on one line and not longer than `limit` characters."""
    text = repr(value) if not isinstance(value, str) or not value.isprintable() else value
    return text if len(text) <= limit else text[: limit - 1] + "…"


def as_json(value: object) -> str:
    """A JSON value as it stood in the file, shortened."""
    return shorten(json.dumps(value, ensure_ascii=False))
