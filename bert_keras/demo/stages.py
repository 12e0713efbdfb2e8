"""Stages whose outputs are reused: each leaves a marker when, and only when, it is complete."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bert_keras.data.files import write_json

Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a stage reported, and whether that was from an earlier run."""

    result: Result
    reused: bool


class Stages:
    """Runs stages in order under one folder, skipping those that are complete.

    A stage is complete when its marker names the same settings, and those of all stages
    before it, and every file it left has the size that it had then. The outputs of any other
    earlier attempt are deleted, except that a stage which can resume keeps what an attempt
    with the same settings has left.

    Args:
        folder: where outputs and markers are.
        recipe: changes when the code that decides the outcome changes.
    """

    def __init__(self, folder: pathlib.Path, recipe: str = "") -> None:
        self._folder = folder
        self._markers = folder / "stages"
        self._chain = recipe

    def run(
        self,
        name: str,
        settings: Mapping[str, Any],
        outputs: Sequence[str],
        work: Callable[[], Result],
        resumable: bool = False,
    ) -> Outcome:
        """Runs one stage, or returns what it reported when it was complete before.

        Args:
            name: the stage's, and its marker's.
            settings: JSON values that decide the outcome.
            outputs: files and folders, relative to the folder, that `work` makes.
            work: does it, and returns JSON values to report.
            resumable: whether `work` goes on from what an interrupted attempt left.
        """
        key = json.dumps([self._chain, name, settings], sort_keys=True)
        self._chain = hashlib.sha256(key.encode("utf-8")).hexdigest()
        done, begun = self._markers / f"{name}.json", self._markers / f"{name}.begun.json"
        marker = _read(done)
        if marker.get("key") == self._chain and marker.get("files") == self._sizes(outputs):
            return Outcome(marker["result"], reused=True)
        done.unlink(missing_ok=True)
        if not (resumable and _read(begun).get("key") == self._chain):
            self._delete(outputs)
        write_json(begun, {"key": self._chain})
        result = work()
        write_json(done, {"key": self._chain, "files": self._sizes(outputs), "result": result})
        begun.unlink()
        return Outcome(result, reused=False)

    def _sizes(self, outputs: Sequence[str]) -> dict[str, int]:
        sizes = {}
        for output in outputs:
            path = self._folder / output
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in files:
                if file.is_file():
                    sizes[file.relative_to(self._folder).as_posix()] = file.stat().st_size
        return sizes

    def _delete(self, outputs: Sequence[str]) -> None:
        for output in outputs:
            path = self._folder / output
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _read(marker: pathlib.Path) -> dict[str, Any]:
    """A marker's contents; none if there is no marker or it is not one."""
    try:
        values = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
