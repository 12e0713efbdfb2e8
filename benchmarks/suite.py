"""What a benchmark is made of: suites of matches between sides."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

Work = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Side:
    """One implementation that takes part in a match.

    Attributes:
        name: as the table shows it.
        family: a key of `families.FAMILIES`: what it needs, and what `--python` names.
        target: "module:Class" of a `protocol.Side`, the module one of `benchmarks.sides` or, with
            a dot, any other.
        options: what this side alone is told, added to the match's work.
        exact: False for a side whose model is another one, which need not agree with ours.
        missing: what the command line lacks for it, "" where nothing is.
        usual: False for other settings than the usual ones; they run with `--variants` only.
    """

    name: str
    family: str
    target: str
    options: Work = dataclasses.field(default_factory=dict)
    usual: bool = True
    exact: bool = True
    missing: str = ""


@dataclasses.dataclass(frozen=True)
class Preparation:
    """A function "module:name" below `benchmarks.sides` that writes what matches read.

    It is called as `function(folder, assets, **options)` in a process of its own, with the
    packages of `family`.
    """

    target: str
    family: str = "ours"
    options: Work = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Match:
    """The same work for several sides, run in turns.

    Attributes:
        name: within its suite.
        unit: of a rate, such as "examples/s".
        sides: in the table's order; the one of family "ours" is what ratios are of.
        work: JSON values that describe the work to every side.
        cases: parts of the work that are timed one by one; by default one, all of it.
        warm_ups: how often each case is run before the clock counts.
        threads: of each side, where the command line does not decide.
        preparations: run before, in order, once each in a call of the command.
        agreement: how the sides' evidence is compared with ours: "difference", the largest
            absolute one, or "labels", the share of equal values; and how far it may go.
    """

    name: str
    unit: str
    sides: tuple[Side, ...]
    work: Work
    cases: tuple[str, ...] = ("",)
    warm_ups: int = 2
    threads: int | None = None
    preparations: tuple[Preparation, ...] = ()
    agreement: tuple[str, float] | None = None


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says about the work itself."""

    google: str | None = None


@dataclasses.dataclass(frozen=True)
class Suite:
    """A named benchmark.

    Attributes:
        title: one line for the table's head and `--list`.
        matches: makes the matches. Their work and that of preparations may name files below
            "{folder}" (scratch) and "{assets}", which are filled in.
        needs_assets: whether BERT_KERAS_ASSETS is needed.
        finish: called with the suite's results and the output directory, to draw.
    """

    name: str
    title: str
    matches: Callable[[Options], tuple[Match, ...]]
    needs_assets: bool = False
    finish: Callable[[dict[str, Any], pathlib.Path], None] | None = None
