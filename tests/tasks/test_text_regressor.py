"""TextRegressor as a Keras user meets it, and through the verbs."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras import cli
from bert_keras.errors import UserError
from bert_keras.tasks import TextRegressor
from tests import small


def _regressor(dropout: float = 0.0, **arguments) -> TextRegressor:
    keras.utils.set_random_seed(1)
    return TextRegressor(
        small.encoder(dropout), small.tokenizer(), max_length=16, seed=3, **arguments
    )


def _data(count: int = 64, seed: int = 0) -> tuple[list[str], list[float]]:
    texts, labels = small.sentences(count, seed)
    return texts, [1.0 if label == "positive" else 0.0 for label in labels]


@pytest.mark.slow
def test_fit_on_floats_learns():
    regressor = _regressor()
    regressor.compile(learning_rate=3e-3)
    regressor.fit(*_data(256), epochs=5, verbose=0)
    high, low = regressor.predict(["the film was great", "awful plot"])
    assert high.score > 0.7 and low.score < 0.3
    assert not regressor.pairs


def test_labels_of_any_shape_give_the_mean_squared_error():
    regressor = _regressor()
    regressor.compile()
    texts, scores = _data(8)
    found = np.array([answer.score for answer in regressor.predict(texts)])
    expected = np.mean((found - scores) ** 2)
    for labels in (scores, np.array(scores)[:, None]):
        logs = regressor.evaluate(texts, labels, batch_size=3, verbose=0, return_dict=True)
        assert logs["loss"] == pytest.approx(expected, rel=1e-4)
        error = np.mean(np.abs(found - scores))
        assert logs["mean_absolute_error"] == pytest.approx(error, rel=1e-4)


@pytest.mark.slow
def test_saved_and_loaded(tmp_path):
    regressor = _regressor(pairs=True)
    pair = (["a good film"], ["it was bad"])
    answer = regressor.predict(pair)[0].score
    regressor.save_pretrained(tmp_path / "model")
    assert TextRegressor.from_pretrained(tmp_path / "model").predict(pair)[0].score == answer
    settings = json.loads((tmp_path / "model" / "config.json").read_text())
    assert settings["problem_type"] == "regression" and settings["id2label"] == {"0": "LABEL_0"}
    # Where nothing else is said, one label means one number.
    del settings["problem_type"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(settings))
    assert TextRegressor.from_pretrained(tmp_path / "model").predict(pair)[0].score == answer
    regressor.compile()
    regressor.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").predict(pair)[0].score == answer


def test_scores_must_be_finite():
    regressor = _regressor()
    regressor.compile()
    labels = [1.0, float("nan")]
    with pytest.raises(UserError, match=r"^y\[1\] is nan, a missing value; expected a finite"):
        regressor.fit(["a", "film"], labels, verbose=0)
    batches = tf.data.Dataset.from_tensor_slices((["a", "film"], labels)).batch(2)
    message = "a score is not a finite number: received nan at position 1"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        regressor.fit(batches, verbose=0)


@pytest.mark.slow
def test_the_verbs(tmp_path, capsys):
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    for name, seed in (("train", 1), ("dev", 2)):
        rows = [f"{text}\t{score}" for text, score in zip(*_data(192, seed), strict=True)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["sentence\tscore", *rows]) + "\n")
    arguments = [
        "finetune",
        "--task=regression",
        "--init=size:L-1_H-64",
        f"--vocab={tmp_path}/vocab.txt",
        f"--train={tmp_path}/train.tsv",
        f"--dev={tmp_path}/dev.tsv",
        "--epochs=8",
        "--batch_size=8",
        "--learning_rate=3e-3",
        "--seq_length=16",
        f"--output_dir={tmp_path}/out",
    ]
    assert cli.main([*arguments, "--batching=packed"]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["pearson"] > 0.8 and metrics["spearman"] > 0.5
    rows = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    found = np.array([[row["label"], row["prediction"]] for row in map(json.loads, rows)])
    assert np.mean((found[:, 0] - found[:, 1]) ** 2) == pytest.approx(metrics["loss"], rel=1e-5)
    assert np.corrcoef(found.T)[0, 1] == pytest.approx(metrics["pearson"], abs=1e-6)
    capsys.readouterr()
    model = f"--model={tmp_path}/out/model"
    assert cli.main(["evaluate", model, f"--data={tmp_path}/dev.tsv"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["pearson"] == pytest.approx(metrics["pearson"], abs=1e-5)
    (tmp_path / "train.tsv").write_text("sentence\tscore\na\t1\nb\tnan\n")
    assert cli.main([*arguments[:-1], f"--output_dir={tmp_path}/other"]) == 2
    message = r"train\.tsv:3: column 'score' holds '?nan'?, expected a number"
    assert re.search(message, capsys.readouterr().err)
