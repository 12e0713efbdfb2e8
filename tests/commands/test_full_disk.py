"""On a full disk each verb ends with one line, and what was there before stays."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from bert_keras import cli
from tests import small

_SOURCE = pathlib.Path(__file__).with_name("full_disk.c")


@pytest.mark.slow
def test_each_verb_on_a_disk_that_fills_up(tmp_path):
    """`BERT_KERAS_FULL_DISK="0 1 2 4 8 16 32 64 128 256"` tries more places."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: nothing can make writes fail")
    library = tmp_path / "full.so"
    command = [compiler, "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    (tmp_path / "work").mkdir()
    counts = os.environ.get("BERT_KERAS_FULL_DISK", "0 9").split()
    program = [sys.executable, "-m", "tests.commands.full_disk", library, tmp_path / "work"]
    done = subprocess.run(
        [*program, *counts],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == 8 * len(counts)
    assert [one for one in results if one["problem"] is not None] == []


def test_predictions_replace_older_ones_when_they_are_whole(tmp_path, capsys, monkeypatch):
    small.classifier().save_pretrained(tmp_path / "model")
    texts, output = tmp_path / "in.txt", tmp_path / "out.jsonl"
    texts.write_text("a good film\n" * 4)
    output.write_text("old")
    arguments = [f"--model={tmp_path}/model", f"--input={texts}", f"--output={output}"]
    arguments.append("--batch_size=2")
    # The second batch fails.
    from bert_keras.tasks import TextClassifier

    run, calls = TextClassifier.run, []

    def failing(self, *given, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return run(self, *given, **settings)

    monkeypatch.setattr(TextClassifier, "run", failing)
    assert cli.main(["predict", *arguments]) == 2
    error = capsys.readouterr().err
    assert "out.jsonl: No space left on device" in error and error.count("\n") == 1
    assert output.read_text() == "old"
    monkeypatch.undo()
    assert cli.main(["predict", *arguments]) == 0
    assert len(output.read_text().splitlines()) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "model", "out.jsonl"]
