"""A side's process, as the command holds it."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parents[1]


class SideFailed(Exception):
    """A side's work ended in an error, or its process did; the message is one line."""


class SideProcess:
    """Starts `benchmarks.side_main` and asks it.

    Args:
        python: the interpreter.
        environment: variables besides this process's own.
        threads: threads and cores that it may use.
        log: file for what it prints.
    """

    def __init__(
        self, python: str, environment: Mapping[str, str], threads: int, log: pathlib.Path
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        counts = ("BENCHMARK_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.side_main", str(requests), str(replies)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                pass_fds=(requests, replies),
                cwd=_ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(_ROOT),
                    "KERAS_BACKEND": "tensorflow",
                    "TF_CPP_MIN_LOG_LEVEL": "2",
                    "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
                    **dict.fromkeys(counts, str(threads)),
                    **environment,
                },
            )
        os.close(requests)
        os.close(replies)
        self._incoming = os.fdopen(self._replies)
        self._outgoing = os.fdopen(self._requests, "w")

    def ask(self, request: str, **arguments: Any) -> Any:
        """The result of a request.

        Raises:
            SideFailed: it ended in an error, or the process is gone.
        """
        try:
            self._outgoing.write(json.dumps({"request": request, **arguments}) + "\n")
            self._outgoing.flush()
            line = self._incoming.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SideFailed(self._epitaph())
        answer = json.loads(line)
        if "error" in answer:
            raise SideFailed(answer["error"])
        return answer["result"]

    def _epitaph(self) -> str:
        """Why the process ended: the signal, or the last line that it printed."""
        code = self._process.wait()
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with status {code}"

    def close(self) -> None:
        """Ends the process."""
        for stream in (self._outgoing, self._incoming):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
