"""What a side does in its process; see `benchmarks.side_main`, which drives it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


class Side:
    """One implementation of a match's work.

    The constructor takes the work and makes everything ready: model, data, compiled functions.

    Attributes:
        settings: one line about the settings that were chosen.
    """

    settings = ""

    def __init__(self, work: Mapping[str, Any]) -> None:
        self.work = work

    def evidence(self) -> list[float]:
        """Numbers that every side must agree on, from before anything was trained."""
        return []

    def run(self, case: str) -> float:
        """Does the work once and waits for its end; how much it was, in the match's unit."""
        raise NotImplementedError

    def notes(self) -> dict[str, Any]:
        """What else is worth recording, at the end."""
        return {}


def threads() -> int:
    """Threads that this process may use."""
    return int(os.environ["BENCHMARK_THREADS"])
