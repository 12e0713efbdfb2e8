"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file so that a kill at any moment leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # A lone surrogate, which has no UTF-8, becomes JSON's own escape for it.
    with open(partial, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_json(path: pathlib.Path, values: Mapping[str, Any]) -> None:
    """Writes an object as indented JSON."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def write_json_lines(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one object a line."""
    write_text(path, "".join(_json_line(row) for row in rows))


def _json_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=repr) + "\n"
