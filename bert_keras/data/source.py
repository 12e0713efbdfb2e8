"""Where examples come from, and what all kinds of examples have in common."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any, Protocol, TypeVar, runtime_checkable

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.tables import Table

QUOTES = ("auto", "csv", "none")


@dataclasses.dataclass(frozen=True)
class DataSource:
    """A file, `-` or `tfds:NAME/CONFIG:SPLIT`, and how to read it.

    Attributes:
        spec: the file or the TFDS name.
        text_column, pair_column, label_column: columns by name, or by number from 1; None for
            their usual names.
        tfds_dir: where TFDS keeps its data, its own default if None.
        encoding: of a text file, any name that Python knows.
        quotes: in a table of separated values: "csv" where quotation marks enclose fields, "none"
            where they are characters like any other, "auto" for what the file shows.
        bad_rows: what becomes of rows that cannot be used.
        table: the rows, where they are in memory; `spec` is then what messages call them.
    """

    spec: str
    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    tfds_dir: str | pathlib.Path | None = None
    encoding: str = "utf-8"
    quotes: str = "auto"
    bad_rows: BadRows = dataclasses.field(default_factory=BadRows, compare=False)
    table: Table | None = dataclasses.field(default=None, compare=False)

    @property
    def title(self) -> str:
        """The source as messages name it."""
        return "standard input" if self.spec == "-" else self.spec

    @property
    def suffix(self) -> str:
        """The ending of the file's name that says what it holds, in lower case."""
        if self.table is not None:
            return ""
        return pathlib.Path(self.spec.removesuffix(".gz")).suffix.lower()


Self = TypeVar("Self", bound="TaskExamples")


@runtime_checkable
class TaskExamples(Protocol):
    """Examples of one task in memory, in the order of the source."""

    @property
    def source(self) -> str:
        """The file or the TFDS name, as messages name it."""

    def __len__(self) -> int: ...

    def where(self, index: int) -> str:
        """`source:line` of one example, to begin a message with."""

    def row(self, index: int) -> dict[str, Any]:
        """One example as JSON: its inputs, and its labels if it has any."""

    def part(self: Self, start: int, stop: int) -> Self:
        """The examples from `start` to before `stop`."""
