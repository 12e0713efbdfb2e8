"""Tables of separated values: tabs, commas or semicolons, with or without quotation marks."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterator, Sequence

from absl import logging

from bert_keras.data.known_tables import QQP_COLUMNS, columns_without_header, is_stsb
from bert_keras.data.source import QUOTES, DataSource
from bert_keras.data.tables import Table, listed
from bert_keras.errors import UserError

# The csv module refuses fields above 128 KiB; a text may be longer.
_LONGEST_FIELD = 2**31 - 1
# What separates the fields of a file that is called .csv, the usual first.
_DELIMITERS = (",", ";", "\t", "|")
# A field that begins with a quotation mark, whole (group 1) or not closed before the next tab.
_QUOTED_FIELD = re.compile(r'(?:^|\t)(?:"((?:[^"]|"")*)"(?=\t|$)|")', re.MULTILINE)
# A field behind spaces that begins with a quotation mark, as in `a, "b"`.
_SPACED_QUOTE = re.compile(r"^ +\"")

_Record = tuple[int, list[str]]


def read_tsv(source: DataSource, lines: Sequence[str]) -> Table:
    """Reads tab separated values.

    A quotation mark is a character like any other, as in GLUE's files, unless `source.quotes`
    says otherwise or the file can only have been written with quotes, as pandas does.

    Rows of QQP's published file that are cut short are left out with a warning.

    Raises:
        UserError: a row has another number of fields than the header.
    """
    if _has_quoted_fields(source, lines):
        records = list(_csv_records(source, lines, "\t"))
    else:
        numbered = enumerate(lines, start=1)
        records = [(number, line.split("\t")) for number, line in numbered if line.strip()]
    return _table(source, records)


def read_csv(source: DataSource, lines: Sequence[str]) -> Table:
    """Reads comma separated values by RFC 4180: quoted fields may hold commas, quotes and lines.

    Where the first line has no comma, semicolons, tabs or bars separate the fields.

    Raises:
        UserError: a quoted field is not closed or is followed by other text, or a row has
            another number of fields than the header.
    """
    first = next(line for line in lines if line.strip())
    if is_stsb(first.split("\t")):
        return read_tsv(source, lines)
    return _table(source, list(_csv_records(source, lines, _delimiter(first))))


def _delimiter(first: str) -> str:
    """Returns what separates the fields of a file, by its first line."""
    for delimiter in _DELIMITERS:
        # A carriage return inside of the line is an error, which reading the file reports.
        with contextlib.suppress(csv.Error):
            if len(next(csv.reader([first], delimiter=delimiter))) > 1:
                return delimiter
    return _DELIMITERS[0]


def _csv_records(source: DataSource, lines: Sequence[str], delimiter: str) -> Iterator[_Record]:
    """Yields each record with the line on which it starts; blank lines are none."""
    if source.quotes == "none":
        yield from _parsed(source, lines, delimiter, quoting=csv.QUOTE_NONE)
        return
    records = list(_parsed(source, lines, delimiter))
    spaced = any(_SPACED_QUOTE.match(field) for _, record in records for field in record)
    yield from _parsed(source, lines, delimiter, skipinitialspace=True) if spaced else records


def _parsed(
    source: DataSource, lines: Sequence[str], delimiter: str, **dialect: int
) -> Iterator[_Record]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=delimiter,
        strict=True,
        **dialect,  # type: ignore[arg-type]
    )
    while True:
        first = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{source.title}:{first}: {error}; expected separated values with quotes "
                'doubled inside quoted fields, like "say ""so"""; where quotes are characters '
                "like any other give quotes=none"
            ) from None
        if not record or (len(record) == 1 and not lines[first - 1].strip()):
            continue
        yield first, record


def _has_quoted_fields(source: DataSource, lines: Sequence[str]) -> bool:
    """Returns whether quotation marks enclose fields of tab separated values.

    A writer of CSV encloses a field that has a quotation mark, a tab or a line feed in it, and
    doubles its quotation marks. Where every field that begins with a quotation mark is of this
    form, or the header is, the file was written so. Fields that are merely enclosed may be quoted
    speech: they are left alone, with a warning.
    """
    if source.quotes not in QUOTES:
        raise UserError(f"quotes={source.quotes}: expected one of {', '.join(QUOTES)}")
    if source.quotes != "auto":
        return source.quotes == "csv"
    if not any(line.startswith('"') or '\t"' in line for line in lines):
        return False
    fields = [match[1] for match in _QUOTED_FIELD.finditer("\n".join(lines))]
    if None in fields:
        return False
    named = all(field.startswith('"') and field.endswith('"') for field in lines[0].split("\t"))
    is_even = len({line.count("\t") for line in lines if line.strip()}) == 1
    if named or all(_needs_quotes(field, is_even) for field in fields):
        return _parses(source, lines)
    logging.warning(
        "%s: quotation marks enclose %d fields and are taken as part of the text; give quotes=csv "
        "if they are not",
        source.title,
        len(fields),
    )
    return False


def _needs_quotes(field: str, is_even: bool) -> bool:
    """Returns whether the contents of a field are such that a writer of CSV encloses them.

    Where the lines are even, as many tabs in each, no field can reach over several of them.
    """
    if is_even:
        return '"' in field and "\n" not in field
    return not {'"', "\t", "\n"}.isdisjoint(field)


def _parses(source: DataSource, lines: Sequence[str]) -> bool:
    """Returns whether lines are tab separated values with quotes and as many fields in each."""
    try:
        return len({len(record) for _, record in _parsed(source, lines, "\t")}) == 1
    except UserError:
        return False


def _table(source: DataSource, records: Sequence[_Record]) -> Table:
    line, first = records[0]
    known = columns_without_header(first)
    if known is not None:
        columns, header_line, body = known, 0, records
        if is_stsb(first):
            body = [(line, row[: len(known)]) for line, row in records]
    else:
        columns, header_line, body = [name.strip() for name in first], line, records[1:]
    if columns == QQP_COLUMNS:
        body = _whole_rows_of_qqp(source, body)
    if not body:
        raise UserError(
            f"{source.title}: the file has a header and no rows; its columns are {listed(columns)}"
        )
    rows, lines = [], []
    for line, row in body:
        # Spreadsheets end every row with the delimiters of columns that are empty.
        while len(row) > len(columns) and not row[-1]:
            row = row[:-1]
        if len(row) != len(columns):
            source.bad_rows.reject(
                f"{source.title}:{line}",
                f"received {len(row)} field(s), expected {len(columns)} ({listed(columns)})",
                row,
            )
            continue
        rows.append(row)
        lines.append(line)
    return Table(source.title, columns, rows, lines, header_line=header_line)


def _whole_rows_of_qqp(source: DataSource, records: Sequence[_Record]) -> list[_Record]:
    whole = [record for record in records if len(record[1]) >= len(QQP_COLUMNS)]
    cut = [line for line, row in records if len(row) < len(QQP_COLUMNS)]
    if cut:
        logging.warning(
            "%s:%d: left out this row and %d more, which have fewer than %d fields",
            *(source.title, cut[0], len(cut) - 1, len(QQP_COLUMNS)),
        )
    return whole
