"""Rows of data that cannot be used: an error at the first of them, or skipped with a reason."""

from __future__ import annotations

import dataclasses
from typing import Any

from bert_keras.errors import UserError


@dataclasses.dataclass(frozen=True)
class SkippedRow:
    """A row that was left out.

    Attributes:
        where: `source:line` of the row.
        reason: what is wrong with it, and what was expected.
        row: its contents, as far as they could be read.
    """

    where: str
    reason: str
    row: Any


@dataclasses.dataclass
class BadRows:
    """Decides what becomes of rows that cannot be used, and keeps those that are skipped.

    Attributes:
        skip: whether such rows are left out; else the first is an error.
        hint: what an error adds to say how such rows can be left out.
        skipped: the rows left out so far, in the order in which they were met.
    """

    skip: bool = False
    hint: str = ""
    skipped: list[SkippedRow] = dataclasses.field(default_factory=list)

    def reject(self, where: str, reason: str, row: Any = None) -> None:
        """Notes a row that cannot be used.

        Args:
            where: `source:line`.
            reason: the value received and what was expected.
            row: the row's contents, as JSON values.

        Raises:
            UserError: rows are not to be skipped.
        """
        if not self.skip:
            raise UserError(f"{where}: {reason}{self.hint}")
        self.skipped.append(SkippedRow(where, reason, row))
