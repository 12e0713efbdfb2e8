"""The task that docs/tasks/adding_a_task.md adds, run as it stands there, through the verbs."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import re
import sys
import types
from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras import cli
from bert_keras.tasks import TASKS
from tests import small

_GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "tasks" / "adding_a_task.md"
# What a text's last word makes of it: 1, 3 or 5 stars.
_TELLING = ["bad", "a", "good"]


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[types.ModuleType]:
    """The guide's file, imported; its task is known to the verbs while the tests run."""
    path = tmp_path_factory.mktemp("code") / "ratings.py"
    path.write_text(_code(), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("ratings", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ratings"] = module
    spec.loader.exec_module(module)
    yield module
    del TASKS["rating"], sys.modules["ratings"]


def _code() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", _GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return str(code)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Texts with 1, 3 or 5 stars, as their word says."""
    random = np.random.default_rng(0)
    rows = ["text\tlabel"]
    for index in range(96):
        words = [*random.choice(small.WORDS[6:9], 3), _TELLING[index % 3]]
        rows.append(f"{' '.join(words)}\t{(1, 3, 5)[index % 3]}")
    path = tmp_path_factory.mktemp("data") / "stars.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def run(ratings, data, tmp_path_factory) -> pathlib.Path:
    """What `finetune` leaves."""
    folder = tmp_path_factory.mktemp("run")
    small.classifier(dropout=0.0).save_pretrained(folder / "init")
    arguments = ["--task=rating", f"--init={folder / 'init'}", f"--train={data}", f"--dev={data}"]
    arguments += [f"--output_dir={folder / 'run'}", "--seq_length=8", "--batch_size=8"]
    assert cli.main(["finetune", *arguments, "--epochs=5", "--learning_rate=3e-3"]) == 0
    return folder / "run"


def test_the_file_is_short() -> None:
    assert _code().count("\n") <= 200


def test_it_learns_and_leaves_what_every_task_leaves(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"loss", "accuracy", "mean_absolute_error", "seconds", "history"} <= set(metrics)
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    right = [str(row["prediction"]) == row["label"] for row in rows]
    assert np.mean(right) == metrics["accuracy"] > 0.9
    assert all(1 <= row["expected"] <= 5 for row in rows)


def test_evaluate_and_predict_know_its_directory(run, data, tmp_path, capsys):
    capsys.readouterr()
    assert cli.main(["evaluate", f"--model={run / 'model'}", f"--data={data}"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = json.loads((run / "metrics.json").read_text())
    assert found["mean_absolute_error"] == pytest.approx(expected["mean_absolute_error"])
    texts = tmp_path / "texts.txt"
    texts.write_text("the film was good\nthe film was bad\n")
    assert cli.main(["predict", f"--model={run / 'model'}", f"--input={texts}"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["expected"] > rows[1]["expected"] and rows[1]["rating"] == 1


@pytest.mark.slow
def test_python_has_it_too(ratings, run, tmp_path):
    rater = ratings.TextRater.from_pretrained(run / "model")
    assert rater.scale == (1, 3, 5)
    texts = ["the film was good", "a plot was bad"]
    rater.save(tmp_path / "rater.keras")
    for saved in (rater, keras.models.load_model(tmp_path / "rater.keras")):
        assert saved.predict(texts) == rater.predict(texts)
    labels = rater.preprocess_labels(tf.constant([5, 1, 3]))
    assert labels.numpy().tolist() == [2, 0, 1]
    outputs = rater.raw_outputs(rater.encode(texts))
    above = 1 / (1 + np.exp(-outputs[0]))
    expected = -np.log(above[0]) - np.log(1 - above[1])
    term = rater.loss_terms(tf.constant(outputs[:1]), tf.constant([1]), None).terms["loss"]
    assert float(term.mean()) == pytest.approx(expected, rel=1e-4)
