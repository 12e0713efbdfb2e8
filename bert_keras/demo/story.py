"""What the demo prints: numbered stages with the time passed, progress, answers."""

from __future__ import annotations

import sys
import textwrap
import time

from bert_keras.demo.stages import Outcome

_WIDTH = 88
_INDENT = "      "


class Story:
    """Prints to the standard output as it goes.

    On a terminal progress rewrites its line; elsewhere it prints a line at every quarter, so
    that a log stays short.

    Args:
        stages: how many stages there will be.
    """

    def __init__(self, stages: int) -> None:
        self._stages = stages
        self._stage = 0
        self._began = time.monotonic()
        self._quarter = 0

    def stage(self, title: str) -> None:
        """Begins the next stage."""
        self._stage += 1
        self._quarter = 0
        print(f"\n[{self._stage}/{self._stages}] {self._clock()}  {title}", flush=True)

    def say(self, text: str) -> None:
        """A paragraph, folded and indented."""
        print(textwrap.fill(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT))
        sys.stdout.flush()

    def line(self, text: str) -> None:
        """A line as it is, indented; for commands and tables."""
        print(_INDENT + text, flush=True)

    def tell(self, outcome: Outcome) -> None:
        """Says when what an earlier run made is used."""
        if outcome.reused:
            self.line("already done, reused")

    def progress(self, done: int, total: int) -> None:
        """How much of a stage is done."""
        text = f"{_INDENT}{done:,} of {total:,} files"
        if sys.stdout.isatty():
            print(f"\r{text}", end="\n" if done == total else "", flush=True)
        elif 4 * done // total > self._quarter:
            self._quarter = 4 * done // total
            print(f"{text}  {self._clock()}", flush=True)

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def _clock(self) -> str:
        minutes, seconds = divmod(int(self.seconds()), 60)
        return f"{minutes}:{seconds:02d}"
