"""metrics.jsonl: one line of numbers for every loop and every evaluation of a run."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from bert_keras.data.files import write_json_lines


class TrainingLog:
    """A file of JSON lines that a resumed run continues as if it had never been killed.

    Args:
        path: the file.
        step: updates done so far; lines of later steps, which a killed run wrote after its last
            checkpoint, are dropped, and so is a line that the kill cut short.
    """

    def __init__(self, path: pathlib.Path, step: int) -> None:
        self.path = path
        self.rows = [row for row in read_rows(path) if row["step"] <= step]
        write_json_lines(path, self.rows)

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds a line, which is on its way to the disk when this returns."""
        self.rows.append(dict(row))
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    """All whole lines of a log, none where there is no file."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            # Only the last line can be cut short.
            break
    return rows
