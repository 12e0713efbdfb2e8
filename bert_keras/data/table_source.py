"""Tables from any source, and checked values of their columns."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bert_keras.data import tables
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.columns import is_known_name, is_text_name
from bert_keras.data.delimited import read_csv, read_tsv
from bert_keras.data.json_tables import is_json, read_json
from bert_keras.data.source import DataSource
from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError

_READERS: dict[str, Callable[[DataSource, Sequence[str]], tables.Table]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_json,
    # CLUE's name for JSON lines, everyone's for an array.
    ".json": read_json,
}
# A whole number as pandas writes it where the column also had empty cells.
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


def read_table(source: DataSource, labelled: bool = True) -> tables.Table:
    """Reads a file, `.gz` of one, or a TFDS split as a table, or returns that of the source.

    Files are `.tsv`, `.csv`, `.jsonl`, `.json`, `.parquet`, and tables called `.txt`. Where no
    labels are expected, a `.txt` file with a text per line and `-`, the standard input, are
    tables too; the latter is JSON if its first line is, else a text per line.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    if source.table is not None:
        return source.table
    if source.spec.startswith("tfds:"):
        from bert_keras.data.tfds_source import read_tfds

        return read_tfds(source.spec, source.tfds_dir)
    if source.suffix == ".parquet":
        from bert_keras.data.arrow_tables import read_parquet

        return read_parquet(source)
    return _with_numbers(_read_text(source, labelled), source)


def _read_text(source: DataSource, labelled: bool) -> tables.Table:
    if source.suffix in _READERS:
        return _READERS[source.suffix](source, read_lines(source.spec, source.encoding))
    if source.suffix == ".txt" or (source.spec == "-" and not labelled):
        return _read_txt(source, read_lines(source.spec, source.encoding), labelled)
    expected = "a name that ends in .tsv, .csv, .jsonl, .json, .parquet or .txt, or"
    also = "tfds:NAME/CONFIG:SPLIT" if labelled else "tfds:NAME/CONFIG:SPLIT or -"
    raise UserError(f"{source.spec}: is no known kind of data, expected {expected} {also}")


def _read_txt(source: DataSource, lines: Sequence[str], labelled: bool) -> tables.Table:
    if source.spec == "-" and is_json(lines[0]):
        return read_json(source, lines)
    names = lines[0].split("\t")
    if labelled or source.text_column or (len(names) > 1 and any(map(is_text_name, names))):
        return (read_tsv if len(names) > 1 else read_csv)(source, lines)
    return tables.plain_table(source.title, lines)


def _with_numbers(table: tables.Table, source: DataSource) -> tables.Table:
    """Returns the table with columns that are chosen by number, from 1, named by their numbers.

    Where all columns are chosen so, the file has no header, unless its first line has known names
    in them: then the first line is a row too.

    Raises:
        UserError: there are not as many columns.
    """
    given = (source.text_column, source.pair_column, source.label_column)
    chosen = [name for name in given if name is not None]
    numbers = [name for name in chosen if name.isdecimal() and name not in table.columns]
    if not numbers:
        return table
    places = [int(name) - 1 for name in numbers]
    if not all(0 <= place < len(table.columns) for place in places):
        raise UserError(
            f"{table.header}: has {len(table.columns)} column(s), expected one of their numbers, "
            f"from 1, received {', '.join(numbers)}"
        )
    names = list(table.columns)
    first = [names[place] for place in places]
    for place, number in zip(places, numbers, strict=True):
        names[place] = number
    if not table.header_line or len(numbers) < len(chosen) or all(map(is_known_name, first)):
        return dataclasses.replace(table, columns=names)
    return dataclasses.replace(
        table,
        columns=names,
        rows=[table.columns, *table.rows],
        lines=[table.header_line, *table.lines],
        header_line=0,
    )


def read_columns(
    table: tables.Table, columns: Mapping[str, Callable[[Any], Any]], bad_rows: BadRows
) -> tuple[list[list[Any]], list[int]]:
    """Returns the values of columns, each as its function gives it, and the rows' lines.

    Args:
        table: the table.
        columns: for each column by name, what converts and checks its values.
        bad_rows: what becomes of rows with a value that a function refuses.

    Raises:
        UserError: a function raised a ValueError: the message names file, line and column.
    """
    places = [(name, table.position(name), convert) for name, convert in columns.items()]
    values: list[list[Any]] = [[] for _ in places]
    lines = []
    for index, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        try:
            converted = [_converted(name, convert, row[place]) for name, place, convert in places]
        except ValueError as error:
            bad_rows.reject(f"{table.source}:{line}", str(error), table.row_values(index))
            continue
        for column, value in zip(values, converted, strict=True):
            column.append(value)
        lines.append(line)
    if not lines:
        raise UserError(f"{table.source}: has no rows that can be used")
    return values, lines


def _converted(name: str, convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except ValueError as error:
        raise ValueError(f"column {tables.shorten(name)!r} {error}") from None


def as_text(value: Any) -> str:
    """Returns a value of a table that is a text; a number is the text that it is written as.

    Raises:
        ValueError: it is none, or is not valid Unicode.
    """
    if value is tables.MISSING:
        raise ValueError("is missing, expected a text")
    if _is_number(value):
        return tables.as_json(value)
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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def as_label(value: Any) -> str:
    """Returns a value of a table that is a label, as it is written there.

    Raises:
        ValueError: it is none, or is empty.
    """
    if value is tables.MISSING:
        raise ValueError("is missing, expected a label")
    if isinstance(value, bool) or _is_number(value):
        return tables.as_json(value)
    if not isinstance(value, str):
        raise ValueError(f"holds {tables.as_json(value)}, expected a label")
    label = as_text(value).strip()
    if not label:
        raise ValueError("is empty, expected a label")
    return label


def whole_labels(labels: Sequence[str]) -> list[str]:
    """Returns labels, `1.0` as `1` where every one of them is a whole number.

    pandas writes whole numbers so when a cell of the column is empty.
    """
    distinct = set(labels)
    if not all(map(_WHOLE.fullmatch, distinct)):
        return list(labels)
    whole = {label: label.partition(".")[0] for label in distinct}
    return [whole[label] for label in labels]


def as_number(value: Any) -> float:
    """Returns a value of a table that is a score.

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
    """Returns a value of a table that is any number of labels: a list, or a text with commas.

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
