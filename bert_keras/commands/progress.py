"""A line that says how far reading has come: share, MB/s and time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_MEGABYTE = 1e6
# Where lines stay, in a log, fewer of them do.
_SECONDS_BETWEEN_LINES = 10.0
_FIRST_SECONDS = 1.0


class ByteProgress:
    """Writes to a terminal one line over and over, to a log a line every ten seconds.

    Args:
        verb: begins the line.
        stream: where to; the standard error if None.
    """

    def __init__(self, verb: str, stream: TextIO | None = None):
        self._verb = verb
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._began = time.monotonic()
        # The first moments say nothing of the speed.
        self._next = self._began + _FIRST_SECONDS
        self._width = 0
        self._finished = False

    def __call__(self, done: int, total: int, before: int = 0) -> None:
        """Says that `done` of `total` bytes are done, `before` of them by an earlier run."""
        now = time.monotonic()
        # What is left to do when all is read takes a moment, and says so no second time.
        if self._finished or (now < self._next and done < total):
            return
        self._finished = done >= total
        self._next = now + (0.0 if self._is_terminal else _SECONDS_BETWEEN_LINES)
        rate = (done - before) / max(now - self._began, 1e-9)
        left = f", {_clock((total - done) / rate)} left" if rate else ""
        line = (
            f"{self._verb}: {done / _MEGABYTE:,.1f} of {total / _MEGABYTE:,.1f} MB "
            f"({done / max(total, 1):.0%}), {rate / _MEGABYTE:.1f} MB/s{left}"
        )
        if self._is_terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Leaves the line."""
        if self._is_terminal and self._width:
            self._stream.write("\n")
            self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
