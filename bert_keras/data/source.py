"""Where examples come from, and what all kinds of examples have in common."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any, Protocol, TypeVar, runtime_checkable


@dataclasses.dataclass(frozen=True)
class DataSource:
    """A file, `-` or `tfds:NAME/CONFIG:SPLIT`, and which of its columns to read.

    Columns that are None go by their usual names. `tfds_dir` is where TFDS keeps its data, its
    own default if None.
    """

    spec: str
    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    tfds_dir: str | pathlib.Path | None = None


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
