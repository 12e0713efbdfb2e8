"""A match: its sides in processes of their own, taking turns, and what came of it."""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.families import FAMILIES
from benchmarks.side_process import SideFailed, SideProcess
from benchmarks.suite import Match, Preparation, Side

# Between two turns, for the threads of the side before to stop spinning.
_PAUSE_SECONDS = 0.3
# A repetition that is shorter than this is run again, and the mean taken.
_LEAST_SECONDS = 1.0

Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Setting:
    """How the matches of one call of the command are run.

    Attributes:
        rounds: repetitions of each side.
        threads: threads of each side.
        pythons: interpreters by family, instead of this one.
        families: the families that take part; empty for all.
        variants: whether sides that are not usual take part.
        folder: for files that sides share.
        assets: real data and weights.
        logs: folder for what the sides print.
    """

    rounds: int
    threads: int
    pythons: Mapping[str, str]
    families: frozenset[str]
    variants: bool
    folder: pathlib.Path
    assets: str
    logs: pathlib.Path
    _prepared: list[Preparation] = dataclasses.field(default_factory=list, init=False)

    def takes_part(self, side: Side) -> bool:
        """Whether the command line asks for this side."""
        chosen = not self.families or side.family in self.families
        return chosen and (side.usual or self.variants)

    def start(self, family: str, log: str, threads: int | None = None) -> SideProcess:
        """A new process for a family."""
        python = self.pythons.get(family, sys.executable)
        path = self.logs / f"{log}.log"
        environment = FAMILIES[family].environment
        return SideProcess(python, environment, threads or self.threads, path)

    def prepare(self, preparation: Preparation) -> None:
        """Runs a preparation unless it was run before.

        Raises:
            SideFailed: it failed.
        """
        if preparation in self._prepared:
            return
        name = preparation.target.replace(":", ".")
        process = self.start(preparation.family, f"prepare.{len(self._prepared)}.{name}")
        arguments = {"folder": "{folder}", "assets": "{assets}", **preparation.options}
        try:
            process.ask("call", target=preparation.target, arguments=self.fill(arguments))
        finally:
            process.close()
        self._prepared.append(preparation)

    def fill(self, value: Any) -> Any:
        """`{folder}` and `{assets}` in the strings of some work."""
        if isinstance(value, str):
            places = {"{folder}": str(self.folder), "{assets}": self.assets}
            for name, place in places.items():
                value = value.replace(name, place)
            return value
        if isinstance(value, Mapping):
            return {key: self.fill(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.fill(each) for each in value]
        return value


class _Contestant:
    """A side in a match: its process and its results so far."""

    def __init__(self, side: Side, match: Match, setting: Setting, log: str) -> None:
        self._match, self._setting = match, setting
        self.result: Result = {
            "side": side.name,
            "family": side.family,
            "options": dict(side.options),
            "exact": side.exact,
        }
        self._process = setting.start(side.family, log, match.threads)
        self._side = side

    @property
    def alive(self) -> bool:
        """Whether there was no error yet and no package is missing."""
        return not self.result.keys() & {"error", "missing"}

    def _guard(self, action: Callable[[], None]) -> None:
        if not self.alive:
            return
        try:
            action()
        except SideFailed as error:
            self.result["error"] = str(error)
            self._process.close()

    def get_ready(self) -> None:
        """Checks packages, prepares, warms up."""
        self._guard(self._get_ready)

    def _get_ready(self) -> None:
        if self._side.missing:
            self.result["missing"] = self._side.missing
            return
        family = FAMILIES[self._side.family]
        found = self._process.ask("check", modules=family.modules, packages=family.packages)
        self.result["versions"] = found["versions"]
        if found["missing"]:
            self.result["missing"] = f"{', '.join(found['missing'])} ({family.brought_by})"
            return
        work = self._setting.fill({**self._match.work, **self._side.options})
        self.result |= self._process.ask("prepare", target=self._side.target, work=work)
        for case in self._match.cases:
            for _ in range(self._match.warm_ups):
                self._process.ask("run", case=case, least_seconds=0.0)
        self.result["cases"] = {case: [] for case in self._match.cases}

    def turn(self, case: str) -> None:
        """One repetition."""

        def run() -> None:
            row = self._process.ask("run", case=case, least_seconds=_LEAST_SECONDS)
            self.result["cases"][case].append(row)

        self._guard(run)

    def finish(self) -> None:
        """Notes at the end, and the end of the process."""
        self._guard(lambda: self.result.update(notes=self._process.ask("notes")))
        self._process.close()


def run(match: Match, setting: Setting, log: str, say: Callable[[str], None]) -> Result:
    """Runs a match: all sides get ready one after the other, then rounds of turns.

    Every second round goes through the sides backwards, so that drift meets all alike.

    Raises:
        SideFailed: a preparation failed.
    """
    for preparation in match.preparations:
        say(f"{log}: {preparation.target}")
        setting.prepare(preparation)
    contestants = []
    try:
        for number, side in enumerate(filter(setting.takes_part, match.sides)):
            say(f"{log}: {side.name} gets ready")
            one = _Contestant(side, match, setting, f"{log}.{number}.{side.family}")
            contestants.append(one)
            one.get_ready()
            if not one.alive:
                say(f"{log}: {side.name}: {one.result.get('error') or 'left out'}")
        for number in range(setting.rounds):
            say(f"{log}: round {number + 1} of {setting.rounds}")
            for case in match.cases:
                for one in contestants[:: -1 if number % 2 else 1]:
                    time.sleep(_PAUSE_SECONDS)
                    one.turn(case)
    finally:
        for one in contestants:
            one.finish()
    rows = [one.result for one in contestants]
    return {
        "match": match.name,
        "unit": match.unit,
        "work": dict(match.work),
        "threads": match.threads or setting.threads,
        "sides": _with_summaries(rows, match),
    }


def _with_summaries(rows: list[Result], match: Match) -> list[Result]:
    """Medians and, where ours took part, ratios and agreement."""
    for row in rows:
        if "error" not in row and "missing" not in row:
            row["summary"] = {case: _summary(row["cases"][case]) for case in match.cases}
    ours = next((row for row in rows if row["family"] == "ours" and "summary" in row), None)
    limit = next((row for row in rows if row["family"] == "limit" and "summary" in row), None)
    for row in rows:
        if "summary" not in row:
            continue
        for case, summary in row["summary"].items():
            if ours and row is not ours:
                summary["ours_is_times"] = ours["summary"][case]["rate"] / summary["rate"]
            if limit and row is not limit:
                summary["share_of_limit"] = summary["rate"] / limit["summary"][case]["rate"]
        if ours and row is not ours and match.agreement and row["evidence"]:
            row["agreement"] = _agreement(ours["evidence"], row["evidence"], *match.agreement)
    return rows


def _summary(turns: list[Result]) -> Result:
    rates = [turn["amount"] / turn["seconds"] for turn in turns]
    return {
        "rate": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "seconds": statistics.median(turn["seconds"] for turn in turns),
    }


def _agreement(ours: list[float], theirs: list[float], kind: str, bound: float) -> Result:
    """How far two sides' evidence is apart, and whether that is near enough.

    A side that does a part of the work has a part of the evidence, from its beginning.
    """
    pairs = list(zip(ours, theirs, strict=False))
    if kind == "labels":
        value = sum(a == b for a, b in pairs) / len(pairs)
        return {"kind": kind, "value": value, "agrees": value >= bound}
    value = max(abs(a - b) for a, b in pairs)
    return {"kind": kind, "value": value, "agrees": value <= bound}
