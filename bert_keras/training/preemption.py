"""A signal to stop: finish the loop that runs, save, and leave."""

from __future__ import annotations

import signal
import types
from typing import Any

# What a machine about to be taken away sends, and what Ctrl-C sends.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Preemption:
    """Notes the first SIGTERM or SIGINT inside a `with` block instead of dying of it.

    A second signal acts as it did before the block, so that a stuck process can be stopped.

    Attributes:
        received: the signal, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Preemption:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    @property
    def exit_status(self) -> int:
        """What a shell expects of a process that a signal ended: 128 and its number."""
        return 0 if self.received is None else 128 + self.received

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
