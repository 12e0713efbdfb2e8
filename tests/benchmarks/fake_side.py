"""Sides without a framework, for the tests of the benchmarks' processes."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from benchmarks.sides.protocol import Side, threads


def write(folder: str, assets: str, name: str) -> None:
    """A preparation: one more line for each call."""
    with pathlib.Path(folder, name).open("a") as stream:
        stream.write(f"{assets}\n")


class Fake(Side):
    """Gives the evidence it is told to, notes its turns in a file, and fails when told to."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        print("framework chatter")
        self.settings = f"{threads()} thread, prepared: {pathlib.Path(work['file']).read_text()}"
        if work.get("fails") == "prepare":
            raise ValueError("first line\nthe last line")

    def evidence(self) -> list[float]:
        return list(self.work["evidence"])

    def run(self, case: str) -> float:
        with pathlib.Path(self.work["turns"]).open("a") as stream:
            stream.write(f"{self.work['name']}{case} ")
        if self.work.get("fails") == "run":
            print("no memory left", flush=True)
            os._exit(3)
        return self.work["amount"]

    def notes(self) -> dict[str, Any]:
        return {"cores": len(os.sched_getaffinity(0))}
