"""The process of one side: answers the requests of `side_process.SideProcess`.

Requests and answers are lines of JSON on two pipes of their own, so that a framework may print
what it likes.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any


def _resolve(target: str) -> Any:
    module, name = target.split(":")
    path = module if "." in module else f"benchmarks.sides.{module}"
    return getattr(importlib.import_module(path), name)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


class _Answers:
    """One method for each request."""

    side: Any = None

    def check(self, modules: list[str], packages: list[str]) -> Any:
        """Modules that are missing, and versions of packages; imports nothing."""
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        return {"missing": missing, "versions": _versions(packages)}

    def call(self, target: str, arguments: dict[str, Any]) -> Any:
        """Calls a function."""
        return _resolve(target)(**arguments)

    def prepare(self, target: str, work: dict[str, Any]) -> Any:
        """Makes the side."""
        self.side = _resolve(target)(work)
        return {"settings": self.side.settings, "evidence": list(map(float, self.side.evidence()))}

    def run(self, case: str, least_seconds: float) -> Any:
        """Runs a case, again until so many seconds have passed: means of one run of it."""
        gc.collect()
        count, amount = 0, 0.0
        wall, processor = time.perf_counter(), time.process_time()
        while not count or time.perf_counter() - wall < least_seconds:
            amount += self.side.run(case)
            count += 1
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        return {
            "seconds": wall / count,
            "processor_seconds": processor / count,
            "amount": amount / count,
            "runs": count,
        }

    def notes(self) -> Any:
        """What the side has to say at the end."""
        return self.side.notes()


def main(requests: int, replies: int) -> None:
    """Answers until the pipe of requests is closed."""
    # Before anything is imported that counts the cores.
    cores = sorted(os.sched_getaffinity(0))[: int(os.environ["BENCHMARK_THREADS"])]
    os.sched_setaffinity(0, cores)
    answers = _Answers()
    with os.fdopen(requests) as incoming, os.fdopen(replies, "w") as outgoing:
        for line in incoming:
            request = json.loads(line)
            try:
                answer = {"result": getattr(answers, request.pop("request"))(**request)}
            except Exception as error:
                traceback.print_exc()
                last = (str(error).strip().splitlines() or [""])[-1]
                answer = {"error": f"{type(error).__name__}: {last}"}
            outgoing.write(json.dumps(answer) + "\n")
            outgoing.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
