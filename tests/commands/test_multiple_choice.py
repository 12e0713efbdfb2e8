"""The verbs on multiple choice: CODAH's format in, accuracy and answers out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bert_keras import cli
from tests import small


def _write_codah(path, count, seed):
    """The right answer is the one with a positive word."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        label = int(random.integers(4))
        answers = [str(random.choice(small.WORDS[3:6])) for _ in range(4)]
        answers[label] = str(random.choice(small.WORDS[:3]))
        rows.append("\t".join(["o", "the film was", *answers, str(label)]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_train_evaluate_and_predict(tmp_path, capsys):
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n", encoding="utf-8")
    _write_codah(tmp_path / "train.tsv", 96, seed=1)
    _write_codah(tmp_path / "dev.tsv", 24, seed=2)
    arguments = [
        "--task=multiple_choice",
        "--init=size:L-1_H-64",
        f"--vocab={tmp_path}/vocab.txt",
        f"--train={tmp_path}/train.tsv",
        f"--dev={tmp_path}/dev.tsv",
        "--epochs=4",
        "--learning_rate=3e-3",
        "--batch_size=8",
        "--seq_length=16",
        f"--output_dir={tmp_path}/out",
    ]
    assert cli.main(["finetune", *arguments]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["accuracy"] > 0.9
    row = json.loads((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[0])
    assert row["choices"][row["prediction"]] == row["text"]

    capsys.readouterr()
    model = f"--model={tmp_path}/out/model"
    assert cli.main(["evaluate", model, f"--data={tmp_path}/dev.tsv"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["accuracy"] == metrics["accuracy"] and printed["examples"] == 24

    inputs = [
        {"context": "it is", "choices": ["bad", "good"]},
        {"context": "a plot", "choices": ["great", "poor", "awful", "bad", "bad"]},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in inputs)
    (tmp_path / "x.jsonl").write_text(lines, encoding="utf-8")
    assert cli.main(["predict", model, f"--input={tmp_path}/x.jsonl"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["choice"], row["text"]) for row in answers] == [(1, "good"), (0, "great")]
    assert [len(row["scores"]) for row in answers] == [2, 5]
