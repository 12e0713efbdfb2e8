"""Tables in memory: named columns, rows of values, and the line of the file each came from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bert_keras.errors import UserError

# Stands for the value of a key that a JSON object does not have.
MISSING = object()


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of values under named columns.

    Attributes:
        source: the file, as messages name it.
        columns: names, in the file's order. Names may be empty, or occur more than once.
        rows: one sequence of values per row, as many as there are columns. Values of separated
            values are strings; other formats also have numbers, booleans, nulls, lists, objects.
        lines: the line of the file on which each row starts, from 1.
        classes: of columns that hold classes in an order of their own, their names in it.
        header_line: the line with the names; 0 where they are not in the file.
    """

    source: str
    columns: list[str]
    rows: Sequence[Sequence[Any]]
    lines: list[int]
    classes: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    header_line: int = 1

    @property
    def header(self) -> str:
        """The place of the columns' names, to begin a message with."""
        return f"{self.source}:{self.header_line}" if self.header_line else self.source

    def position(self, column: str) -> int:
        """Returns the index of a column by its name.

        Raises:
            UserError: several columns have the name and hold different values.
        """
        found = [index for index, name in enumerate(self.columns) if name == column]
        first, *others = found
        for other in others:
            for line, row in zip(self.lines, self.rows, strict=True):
                if row[other] != row[first]:
                    raise UserError(
                        f"{self.header}: columns {first + 1} and {other + 1} are both called "
                        f"{shorten(column)!r} and differ in line {line}; choose one by its number"
                    )
        return first

    def row_values(self, index: int) -> dict[str, Any]:
        """Returns a row as a mapping from names to values, without keys that it lacks."""
        named = zip(self.columns, self.rows[index], strict=True)
        return {name: value for name, value in named if value is not MISSING}


def listed(names: Sequence[str]) -> str:
    """Returns names for a message, each shortened: without a header they are whole sentences."""
    return ", ".join(shorten(name) for name in names)


def shorten(value: object, limit: int = 40) -> str:
    """Returns a value as a message shows it: on one line, at most `limit` characters."""
    text = repr(value) if not isinstance(value, str) or not value.isprintable() else value
    return text if len(text) <= limit else text[: limit - 1] + "…"


def as_json(value: object) -> str:
    """Returns a JSON value as it stood in the file, shortened."""
    return shorten(json.dumps(value, ensure_ascii=False, default=repr))


def plain_table(source: str, lines: Sequence[str]) -> Table:
    """Returns plain text as a table: every line is a row with the one column `text`."""
    numbers = list(range(1, len(lines) + 1))
    return Table(source, ["text"], [[line] for line in lines], numbers, header_line=0)
