"""Examples of an argument: their places are written as the elements of this."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, TypeVar

Kind = TypeVar("Kind")


class _Given:
    """A part of a class of examples: `where` is `x[3]` in place of a file and a line."""

    source: str
    lines: list[int]

    def where(self, index: int, word: int | None = None) -> str:
        """Returns how a user writes an example, or one of its words."""
        inside = "" if word is None else f"[{word}]"
        return f"{self.source}[{self.lines[index] - 1}]{inside}"


@functools.cache
def _given_kind(kind: Any) -> Any:
    return dataclasses.dataclass(frozen=True)(type(kind.__name__, (_Given, kind), {}))


def given(examples: Kind, name: str) -> Kind:
    """Returns examples made from lists as those of an argument.

    Args:
        examples: a dataclass of any kind of examples, with lines from 1.
        name: the argument that messages name.
    """
    kind: Any = type(examples)
    fields = {field.name: getattr(examples, field.name) for field in dataclasses.fields(kind)}
    found: Kind = _given_kind(kind)(**{**fields, "source": name})
    return found
