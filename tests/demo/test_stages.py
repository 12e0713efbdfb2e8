"""Stages are reused when complete, and only then."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from bert_keras.demo.stages import Stages


class _Work:
    """Writes a file and counts how often it was asked to."""

    def __init__(self, folder: pathlib.Path, name: str = "out/a.txt") -> None:
        self.path = folder / name
        self.calls = 0
        self.found: list[str] = []

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        self.path.parent.mkdir(exist_ok=True)
        self.found = sorted(file.name for file in self.path.parent.iterdir())
        self.path.write_text("made")
        return {"calls": self.calls}


def test_a_complete_stage_is_reused_with_its_result(tmp_path: pathlib.Path) -> None:
    work = _Work(tmp_path)
    first = Stages(tmp_path).run("a", {"x": 1}, ["out"], work)
    second = Stages(tmp_path).run("a", {"x": 1}, ["out"], work)
    assert (first.reused, second.reused) == (False, True)
    assert first.result == second.result == {"calls": 1}


@pytest.mark.parametrize(
    "damage", ["settings", "missing", "size", "marker", "extra", "before", "recipe"]
)
def test_a_stage_is_done_again_when_anything_differs(tmp_path, damage: str) -> None:
    before, work = _Work(tmp_path, "b.txt"), _Work(tmp_path)
    stages = Stages(tmp_path)
    stages.run("b", {"y": 1}, ["b.txt"], before)
    stages.run("a", {"x": 1}, ["out"], work)
    settings = {"x": 2 if damage == "settings" else 1}
    earlier = {"y": 2 if damage == "before" else 1}
    if damage == "missing":
        work.path.unlink()
    elif damage == "size":
        work.path.write_text("made, then changed")
    elif damage == "marker":
        (tmp_path / "stages" / "a.json").write_text('{"key": "torn')
    elif damage == "extra":
        (tmp_path / "out" / "stale.txt").write_text("of another run")
    stages = Stages(tmp_path, "new" if damage == "recipe" else "")
    stages.run("b", earlier, ["b.txt"], before)
    assert not stages.run("a", settings, ["out"], work).reused
    assert work.calls == 2
    assert work.found == []  # what was there had been deleted


def test_a_later_stage_survives_when_an_earlier_one_is_redone_alike(tmp_path) -> None:
    before, work = _Work(tmp_path, "b.txt"), _Work(tmp_path)
    for _ in range(2):
        stages = Stages(tmp_path)
        stages.run("b", {}, ["b.txt"], before)
        stages.run("a", {}, ["out"], work)
        before.path.unlink()
    assert (before.calls, work.calls) == (2, 1)


@pytest.mark.parametrize("resumable", [False, True])
def test_an_interrupted_stage_resumes_or_starts_clean(tmp_path, resumable: bool) -> None:
    work = _Work(tmp_path)

    def interrupted() -> dict[str, Any]:
        work()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stages(tmp_path).run("a", {}, ["out"], interrupted, resumable)
    assert not Stages(tmp_path).run("a", {}, ["out"], work, resumable).reused
    assert work.found == (["a.txt"] if resumable else [])


def test_leftovers_of_other_settings_are_not_resumed(tmp_path: pathlib.Path) -> None:
    work = _Work(tmp_path)

    def interrupted() -> dict[str, Any]:
        work()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stages(tmp_path).run("a", {"x": 1}, ["out"], interrupted, resumable=True)
    Stages(tmp_path).run("a", {"x": 2}, ["out"], work, resumable=True)
    assert work.found == []
