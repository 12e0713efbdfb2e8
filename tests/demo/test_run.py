"""The whole demo with tiny sizes on a tree of packages written here."""

from __future__ import annotations

import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

from bert_keras.demo import run as demo
from bert_keras.demo.learning import LearningSettings
from bert_keras.errors import UserError

_VERBS = "Load Save Sort Count Write Merge Check Print".split()
_THINGS = "table list file column header record page index image sound".split()
_PREPOSITIONS = "from to in of for with".split()


def _write_packages(root: pathlib.Path) -> None:
    """Forty packages of ten functions, each with a docstring of its own."""
    rng = random.Random(0)
    for package in range(40):
        functions = []
        for index in range(10):
            verb, preposition = rng.choice(_VERBS), rng.choice(_PREPOSITIONS)
            one, other = rng.sample(_THINGS, 2)
            sentence = f"{verb} the {one} number {package}{index} {preposition} a {other}."
            functions.append(f'def {verb.lower()}_{one}({other}):\n    """{sentence}"""\n')
        folder = root / f"package{package}"
        folder.mkdir(parents=True)
        (folder / "core.py").write_text("\n".join(functions), encoding="utf-8")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoSettings:
    root = tmp_path_factory.mktemp("packages") / "site-packages"
    _write_packages(root)
    return demo.DemoSettings(
        roots=(root,),
        vocabulary_size=300,
        learning=LearningSettings(size="L-1_H-64", epochs=2, checkpoint_every=3),
    )


def _story(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if line.strip()]


def test_the_whole_story_and_a_second_run_that_reuses_it(
    settings: demo.DemoSettings,
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    output = pathlib.Path("out")
    demo.run_demo(output, settings)
    first = capfd.readouterr().out
    for stage in range(1, 7):
        assert f"[{stage}/6]" in first
    assert "40 packages" in first
    assert "always the most frequent label                   0.500" in first
    assert "logistic regression on the word counts of both   0.500" in first
    assert first.count("-> as_written") + first.count("-> exchanged") == 3
    assert "server stopped" in first
    assert "already done" not in first
    metrics = json.loads((output / "finetune" / "metrics.json").read_text())
    assert len(metrics["history"]) == 2
    assert (output / "serving" / demo.MODEL_NAME / "1" / "saved_model.pb").exists()

    before = (output / "finetune" / "model" / "model.safetensors").stat().st_mtime_ns
    demo.run_demo(output, settings)
    second = capfd.readouterr().out
    assert second.count("already done, reused") == 5
    assert "epoch 1 of 2" not in second
    assert (output / "finetune" / "model" / "model.safetensors").stat().st_mtime_ns == before
    told = [line for line in _story(first) if line.startswith("->")]
    assert told == [line for line in _story(second) if line.startswith("->")]


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(UserError, match="--output_dir=.*taken: is a file, expected a folder"):
        demo.run_demo(tmp_path / "taken")
    with pytest.raises(UserError, match="cannot be made a folder"):
        demo.run_demo(tmp_path / "taken" / "below")


def test_missing_packages_for_serving_are_told_before_any_work(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="grpc is not installed"):
        demo.run_demo(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_small_a_corpus_is_one_clear_error(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "site-packages"
    root.mkdir()
    (root / "m.py").write_text('def f():\n    """Load the table from the old file."""\n' * 2)
    settings = demo.DemoSettings(roots=(root,), vocabulary_size=100)
    with pytest.raises(UserError, match="too few documented functions for a (dev|test) set"):
        demo.run_demo(tmp_path / "out", settings)


@pytest.mark.slow
def test_a_terminal_that_knows_only_ascii(tmp_path: pathlib.Path) -> None:
    _write_packages(tmp_path / "site-packages")
    script = tmp_path / "demo.py"
    script.write_text(
        "import pathlib, sys\n"
        "from bert_keras.demo.learning import LearningSettings\n"
        "from bert_keras.demo.run import DemoSettings, run_demo\n"
        "if __name__ == '__main__':\n"
        "    learning = LearningSettings(size='L-1_H-64', epochs=1)\n"
        "    root = pathlib.Path(sys.argv[1], 'site-packages')\n"
        "    run_demo(pathlib.Path('out'), DemoSettings((root,), 300, learning=learning))\n",
        encoding="utf-8",
    )
    encoding = {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0", "LC_ALL": "C"}
    path = [str(pathlib.Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    finished = subprocess.run(
        [sys.executable, script, tmp_path],
        env={**os.environ, **encoding, "PYTHONPATH": os.pathsep.join(path)},
        cwd=tmp_path,
        capture_output=True,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.decode("ascii").count("-> ") == 3
