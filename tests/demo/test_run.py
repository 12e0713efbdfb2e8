"""The whole demo with tiny sizes on a tree of packages written here."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bert_keras.data.store import CorpusStore
from bert_keras.demo import learning, pretraining, task
from bert_keras.demo import run as demo
from bert_keras.demo.learning import LearningSettings
from bert_keras.demo.pretraining import PretrainingRecipe
from bert_keras.errors import UserError
from bert_keras.training.pretraining import PretrainingRun

_VERBS = "Load Save Sort Count Write Merge Check Print".split()
_THINGS = "table list file column header record page index image sound".split()
_PREPOSITIONS = "from to in of for with".split()
_RUNS = ("from_scratch", "finetune")
_TITLES = tuple(learning.TITLES.values())
_RECIPE = PretrainingRecipe(
    steps=6, batch_size=4, warmup_steps=2, steps_per_loop=2, checkpoint_every=2
)


def _write_packages(root: pathlib.Path) -> None:
    """Forty packages of ten functions, each with a docstring of its own."""
    rng = random.Random(0)
    for package in range(40):
        functions = []
        for index in range(10):
            verb, preposition = rng.choice(_VERBS), rng.choice(_PREPOSITIONS)
            one, other = rng.sample(_THINGS, 2)
            number = 100 * (package + 1) + index
            sentence = f"{verb} the {one} number {number} {preposition} a {other}."
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
        size="L-1_H-64",
        pretraining=_RECIPE,
        learning=LearningSettings(epochs=2, checkpoint_every=3),
    )


def _story(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if line.strip()]


def _scored_sentences(output: pathlib.Path) -> set[str]:
    """The words of each dev and test sentence."""
    lines = [
        line.split("\t")[0]
        for name in ("dev", "test")
        for line in (output / "data" / f"{name}.tsv").read_text("utf-8").splitlines()[1:]
    ]
    return set(map(task.word_bag, lines))


def _pretrained_on(output: pathlib.Path) -> tuple[str, int]:
    """What both stores of a demo's pretraining say in text, and how many documents they have."""
    said, documents = [], 0
    for name in ("train", "held_out"):
        store = CorpusStore.open(output / "store" / name)
        window = store.read_blocks(range(store.blocks))
        text = store.tokenizer().detokenize([window.tokens.astype("int32")])
        said.append(text.numpy()[0].decode("utf-8"))
        documents += store.manifest.documents
    return " ".join(said), documents


@pytest.mark.slow
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
    for stage in range(1, 9):
        assert f"[{stage}/8]" in first
    assert "40 packages" in first
    assert first.count("-> as_written") + first.count("-> exchanged") == 3
    assert first.count("of rows in the table.  ") == 1
    assert "server stopped" in first
    assert "already done" not in first
    assert "step 6/6" in first
    _check_runs(output, first)
    _check_no_leak(output)
    assert (output / "serving" / demo.MODEL_NAME / "1" / "saved_model.pb").exists()

    models = sorted(output.glob("*/model/model.safetensors"))
    before = [model.stat().st_mtime_ns for model in models]
    demo.run_demo(output, settings)
    second = capfd.readouterr().out
    # Fine-tuning says it for either run.
    assert second.count("already done, reused") == 8
    assert "epoch 1 of 2" not in second
    assert "step 6/6" not in second
    assert [model.stat().st_mtime_ns for model in models] == before
    told = [line for line in _story(first) if line.startswith("->")]
    assert told == [line for line in _story(second) if line.startswith("->")]
    assert _table(first) == _table(second)


def _table(printed: str) -> dict[str, float]:
    rows = [line.rsplit(None, 1) for line in _story(printed) if line.startswith(_TITLES)]
    return {title: float(number) for title, number in rows}


def _check_runs(output: pathlib.Path, printed: str) -> None:
    """The table has four rows, and the two runs differ in their first weights alone."""
    table = _table(printed)
    assert list(table) == list(_TITLES)
    assert table[_TITLES[0]] == table[_TITLES[1]] == 0.5
    runs = [json.loads((output / name / "run.json").read_text()) for name in _RUNS]
    assert [run.pop("init") for run in runs] == ["out/start", "out/pretrain/model"]
    assert runs[0] == runs[1]
    histories = []
    for name, title in zip(_RUNS, _TITLES[2:], strict=True):
        histories.append(json.loads((output / name / "metrics.json").read_text())["history"])
        accuracy = learning.score(output, output / name / "model")
        assert table[title] == pytest.approx(accuracy, abs=5e-4)
    assert len(histories[0]) == len(histories[1]) == 2
    assert histories[0] != histories[1]


def _check_no_leak(output: pathlib.Path) -> None:
    """Every number in the sentences written above is in one sentence only: a sentence's mark."""
    scored = _scored_sentences(output)
    marks = {word for bag in scored for word in bag.split() if word.isdigit()}
    said, documents = _pretrained_on(output)
    assert len(marks) == len(scored) > 0
    assert documents > 200
    assert marks.isdisjoint(said.split())
    trained = (output / "data" / "train.tsv").read_text("utf-8").splitlines()[1:]
    used = {word for line in trained for word in line.split() if word.isdigit()}
    assert used <= set(said.split())


class _Stopped(Exception):
    """Ends a demo."""


@pytest.mark.slow
def test_a_demo_stopped_while_pretraining_goes_on_from_there(
    settings: demo.DemoSettings,
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*arguments: object) -> None:
        raise _Stopped

    # What comes after pretraining does not matter here.
    monkeypatch.setattr(pretraining, "fill_masks", stop)
    with monkeypatch.context() as patch:
        patch.setattr(PretrainingRun, "_log_training", _interrupt_after(3))
        with pytest.raises(SystemExit) as stopped:
            demo.run_demo(tmp_path / "out", settings)
    assert stopped.value.code == 128 + signal.SIGINT
    assert not (tmp_path / "out" / "stages" / "pretrain.json").exists()
    capfd.readouterr()
    with pytest.raises(_Stopped):
        demo.run_demo(tmp_path / "out", settings)
    assert "resuming at step 4 of 6" in capfd.readouterr().out
    with pytest.raises(_Stopped):
        demo.run_demo(tmp_path / "whole", settings)
    models = [tmp_path / name / "pretrain" / "model" for name in ("out", "whole")]
    weights = [(model / "model.safetensors").read_bytes() for model in models]
    assert weights[0] == weights[1]


def _interrupt_after(step: int) -> Callable[[PretrainingRun, dict[str, Any]], None]:
    """`PretrainingRun._log_training` that sends Ctrl-C once the step is done."""
    log = PretrainingRun._log_training

    def logged(run: PretrainingRun, output: dict[str, Any]) -> None:
        log(run, output)
        if run.step >= step:
            os.kill(os.getpid(), signal.SIGINT)

    return logged


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


def test_too_little_text_to_pretrain_on_is_one_clear_error(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "site-packages"
    # Each package has a word of its own, so that there are examples for every set.
    for first, second in itertools.product("bcdfg", "aeiou"):
        folder = root / f"package_{first}{second}"
        folder.mkdir(parents=True)
        docstring = f'"""Load the {first}{second}ble of the number from a file."""'
        (folder / "core.py").write_text(f"def f():\n    {docstring}\n")
    settings = demo.DemoSettings(roots=(root,), vocabulary_size=100)
    with pytest.raises(UserError, match="too few documented functions to pretrain on"):
        demo.run_demo(tmp_path / "out", settings)


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
        "from bert_keras.demo.pretraining import PretrainingRecipe\n"
        "from bert_keras.demo.run import DemoSettings, run_demo\n"
        "if __name__ == '__main__':\n"
        "    root = pathlib.Path(sys.argv[1], 'site-packages')\n"
        "    recipe = PretrainingRecipe(steps=2, batch_size=4, warmup_steps=1)\n"
        "    learning = LearningSettings(epochs=1)\n"
        "    settings = DemoSettings((root,), 300, 1000, 'L-1_H-64', recipe, learning)\n"
        "    run_demo(pathlib.Path('out'), settings)\n",
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
