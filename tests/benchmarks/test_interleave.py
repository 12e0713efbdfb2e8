"""Matches between processes: turns, evidence, failures."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from benchmarks import interleave, table
from benchmarks.suite import Match, Preparation, Side

_TARGET = "tests.benchmarks.fake_side:Fake"


def _side(name: str, family: str = "ours", **options: Any) -> Side:
    values = {"name": name, "evidence": [1.0, 2.0], "amount": 10.0, **options}
    return Side(name, family, _TARGET, values)


def _match(*sides: Side, **options: Any) -> Match:
    work = {"file": "{folder}/prepared", "turns": "{folder}/turns"}
    made = Preparation("tests.benchmarks.fake_side:write", options={"name": "prepared"})
    return Match("match", "things/s", sides, work, preparations=(made, made), **options)


@pytest.fixture
def setting(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> interleave.Setting:
    monkeypatch.setattr(interleave, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(interleave, "_LEAST_SECONDS", 0.0)
    return interleave.Setting(
        rounds=3,
        threads=1,
        pythons={},
        families=frozenset(),
        variants=False,
        folder=tmp_path,
        assets="ASSETS",
        logs=tmp_path / "logs",
    )


def _run(match: Match, setting: interleave.Setting) -> list[dict[str, Any]]:
    return interleave.run(match, setting, "log", lambda text: None)["sides"]


def test_sides_take_turns_after_warming_up(setting: interleave.Setting) -> None:
    rows = _run(_match(_side("a"), _side("b"), cases=("1", "2"), warm_ups=1), setting)
    turns = (setting.folder / "turns").read_text().split()
    warm_ups, rounds = turns[:4], turns[4:]
    assert warm_ups == ["a1", "a2", "b1", "b2"]
    forwards, backwards = ["a1", "b1", "a2", "b2"], ["b1", "a1", "b2", "a2"]
    assert rounds == [*forwards, *backwards, *forwards]
    assert [len(turns) for turns in rows[0]["cases"].values()] == [3, 3]
    assert rows[0]["settings"] == "1 thread, prepared: ASSETS\n", "a preparation runs once"
    assert rows[0]["notes"] == {"cores": 1}
    assert "framework chatter" in (setting.logs / "log.0.ours.log").read_text()


def test_a_side_that_fails_leaves_the_others_running(setting: interleave.Setting) -> None:
    match = _match(
        _side("error", fails="prepare"),
        _side("crash", "pytorch", fails="run"),
        Side("lacks", "ours", _TARGET, missing="--google=DIR"),
        _side("works", "limit"),
    )
    # Whether PyTorch is installed does not matter to a side that does not import it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(interleave.FAMILIES, "pytorch", interleave.FAMILIES["limit"])
        error, crash, lacks, works = _run(match, setting)
    assert error["error"] == "ValueError: the last line"
    assert crash["error"] == "no memory left"
    assert lacks["missing"] == "--google=DIR"
    assert len(works["cases"][""]) == 3
    text = "\n".join(table._match({"match": "m", "unit": "u", "sides": [error, lacks, works]}))
    assert "error: FAILED: ValueError: the last line" in text
    assert "lacks: left out, missing: --google=DIR" in text


def test_missing_modules_are_named(
    setting: interleave.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = interleave.FAMILIES["google"]
    lacking = type(family)(("no_such_module",), "pip install it", ())
    monkeypatch.setitem(interleave.FAMILIES, "google", lacking)
    (row,) = _run(_match(_side("a", "google")), setting)
    assert row["missing"] == "no_such_module (pip install it)"


def _row(family: str, seconds: list[float], evidence: list[float]) -> dict[str, Any]:
    turns = [{"amount": 6.0, "seconds": value} for value in seconds]
    return {"side": family, "family": family, "cases": {"": turns}, "evidence": evidence}


def test_medians_ratios_and_evidence() -> None:
    rows = [
        _row("limit", [1.0, 1.0, 1.0], []),
        _row("ours", [2.0, 30.0, 1.5], [1.0, 2.0]),
        _row("pytorch", [6.0, 5.0, 60.0], [1.0]),
        _row("kerashub", [3.0, 3.0, 3.0], [1.0, 2.5]),
    ]
    match = _match(agreement=("difference", 0.1))
    limit, ours, pytorch, kerashub = interleave._with_summaries(rows, match)
    assert ours["summary"][""]["rate"] == 3.0
    assert (ours["summary"][""]["lowest"], ours["summary"][""]["highest"]) == (0.2, 4.0)
    assert ours["summary"][""]["share_of_limit"] == 0.5
    assert pytorch["summary"][""]["ours_is_times"] == 3.0
    assert "ours_is_times" not in ours["summary"][""] and "agreement" not in limit
    assert pytorch["agreement"]["agrees"], "a part of the work has a part of the evidence"
    assert kerashub["agreement"] == {"kind": "difference", "value": 0.5, "agrees": False}


def test_shares_of_equal_labels() -> None:
    ours, theirs = [0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]
    assert interleave._agreement(ours, theirs, "labels", 0.75)["agrees"]
    assert not interleave._agreement(ours, theirs, "labels", 0.8)["agrees"]
