"""The verbs on classification, through the command line's entry point."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from bert_keras import checkpoints, cli, flags
from bert_keras.commands import finetune
from tests import small

RECIPE = (
    "--init=size:L-1_H-64",
    "--epochs=3",
    "--learning_rate=3e-3",
    "--batch_size=16",
    "--seq_length=16",
)


def _files(folder: pathlib.Path) -> list[str]:
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(small.VOCABULARY) + "\n", encoding="utf-8")
    small.write_tsv(folder / "train.tsv", 256, seed=1)
    small.write_tsv(folder / "dev.tsv", 64, seed=2)
    return [f"--vocab={vocabulary}", f"--train={folder}/train.tsv", f"--dev={folder}/dev.tsv"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    arguments = [*RECIPE, *_files(folder), f"--output_dir={folder}/out"]
    assert cli.main(["finetune", *arguments]) == 0
    return folder


def _lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_finetune_leaves_model_metrics_and_predictions(trained):
    metrics = json.loads((trained / "out" / "metrics.json").read_text())
    assert metrics["accuracy"] > 0.9
    assert metrics["examples"] == 64 and metrics["train_examples"] == 256
    assert [row["epoch"] for row in metrics["history"]] == [1, 2, 3]
    best = max(row["dev_accuracy"] for row in metrics["history"])
    assert metrics["accuracy"] == best
    rows = _lines(trained / "out" / "predictions.jsonl")
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert right == metrics["accuracy"]
    for label, scores in metrics["per_class"].items():
        gold, found = ([row[name] == label for row in rows] for name in ("label", "prediction"))
        both = np.logical_and(gold, found).sum()
        assert scores["support"] == sum(gold)
        assert scores["precision"] == pytest.approx(both / sum(found))
        assert scores["recall"] == pytest.approx(both / sum(gold))
    assert rows[0]["text"] == small.sentences(64, seed=2)[0][0]
    names = {path.name for path in (trained / "out" / "model").iterdir()}
    assert names >= {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"}


def test_evaluate_prints_the_same_metrics(trained, capsys):
    arguments = [f"--model={trained}/out/model", f"--data={trained}/dev.tsv"]
    assert cli.main(["evaluate", *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)
    metrics = json.loads((trained / "out" / "metrics.json").read_text())
    for name in ("accuracy", "f1", "matthews_correlation", "examples"):
        assert printed[name] == metrics[name]
    assert printed["loss"] == pytest.approx(metrics["loss"], rel=1e-5)


def test_predict_from_the_model_and_from_a_server_agree(trained, capsys):
    texts = ["the film was great", "awful", "it is 苹果", ""]
    (trained / "texts.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8"
    )
    common = [f"--input={trained}/texts.jsonl", "--batch_size=3"]
    assert cli.main(["predict", f"--model={trained}/out/model", *common]) == 0
    from_model = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in from_model] == texts
    assert [row["label"] for row in from_model[:2]] == ["positive", "negative"]

    servable = trained / "serving" / "film" / "1"
    assert cli.main(["export", f"--model={trained}/out/model", f"--output={servable}"]) == 0
    assert "bert-keras serve --model_name=film" in capsys.readouterr().out
    from bert_keras.export.server import ModelServer

    server = ModelServer({"film": str(servable.parent)})
    port = server.start()
    try:
        output = trained / "answers.jsonl"
        remote = [f"--server=localhost:{port}", "--model_name=film", f"--output={output}"]
        assert cli.main(["predict", *remote, *common]) == 0
    finally:
        server.stop(0)
    for got, want in zip(_lines(output), from_model, strict=True):
        assert got["label"] == want["label"]
        assert got["scores"] == pytest.approx(want["scores"], abs=1e-5)


def test_a_finished_run_is_not_repeated_and_another_is_refused(trained, capsys):
    arguments = [*RECIPE, *_files(trained), f"--output_dir={trained}/out"]
    before = load_file(trained / "out" / "model" / "model.safetensors")
    assert cli.main(["finetune", *arguments]) == 0
    assert "epoch 1 of" not in capsys.readouterr().out
    after = load_file(trained / "out" / "model" / "model.safetensors")
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert cli.main(["finetune", *arguments, "--seed=9"]) == 2
    assert "seed=0, received 9; choose another directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "content", "message"),
    [
        ({}, b"text\tlabel\n", "train.tsv"),
        ({}, b"", "train.tsv"),
        ({}, b"words\tlabel\na\t1\n", "words"),
        ({}, b"text\tlabel\na\t\xff\n", "train.tsv:2"),
        ({}, b"text\tlabel\na\n", "train.tsv:2"),
        ({}, b"text\tlabel\na\tx\nb\tx\n", "at least two"),
        (
            {"--best_metric": "f1"},
            b"text\tlabel\na\tx\nb\ty\nc\tz\n",
            "expected one of accuracy, matthews_correlation, loss",
        ),
        ({"--labels": "negative,positive"}, b"text\tlabel\na\tneutral\n", "'neutral'"),
        ({"--init": "size:huge"}, None, "--init=size:huge"),
        ({"--init": "nowhere"}, None, "--init=nowhere"),
        ({"--seq_length": "600"}, None, "max_length is 600"),
        ({"--seed": "-1"}, None, "--seed=-1"),
        ({"--labels": "positive,negative,positive"}, None, "two different labels"),
        ({"--learning_rate": "inf"}, None, "the loss is nan"),
        ({"--early_stopping": "2", "--dev": ""}, None, "--early_stopping: needs --dev"),
        ({"--lora_rank": "2", "--freeze": "encoder"}, None, "--lora_rank: freezes"),
        ({"--vocab": "nowhere.txt"}, None, "nowhere.txt"),
        ({"--train": "nowhere.tsv"}, None, "nowhere.tsv"),
        ({"--batch_size": "0"}, None, "--batch_size=0"),
        ({"--batching": "packed", "--batch_tokens": "99"}, None, "--batch_tokens: is for"),
    ],
)
def test_bad_input_is_one_line_and_status_two(tmp_path, capsys, change, content, message):
    arguments = [*RECIPE, *_files(tmp_path), f"--output_dir={tmp_path}/out"]
    if content is not None:
        (tmp_path / "train.tsv").write_bytes(content)
    arguments += [f"{flag}={value}" for flag, value in change.items()]
    assert cli.main(["finetune", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("bert-keras finetune: error: ")
    assert message in error


@pytest.mark.parametrize(
    ("given", "batch_size"),
    [([], 32), (["--batch_tokens=99"], None), (["--batch_tokens=99", "--batch_size=32"], 32)],
)
def test_a_budget_of_tokens_takes_the_limit_on_examples_away(given, batch_size):
    values = flags.define("finetune")
    values(["finetune", *given])
    assert finetune._settings(values, "accuracy").batch_size == batch_size


@pytest.mark.slow
def test_a_corrected_command_takes_the_folder_of_a_failed_one(tmp_path, capsys):
    files = [*_files(tmp_path), f"--output_dir={tmp_path}/out", "--epochs=1", "--seq_length=16"]
    assert cli.main(["finetune", *files, "--init=size:L-1_H-60x"]) == 2
    options = ["--init=size:L-1_H-64", "--strategy=mirrored", "--lora_rank=2", "--early_stopping=1"]
    assert cli.main(["finetune", *files, *options]) == 0
    assert "2 replica(s)" in capsys.readouterr().out
    moved = [argument.replace("train.tsv", "moved.tsv") for argument in files]
    (tmp_path / "train.tsv").rename(tmp_path / "moved.tsv")
    assert cli.main(["finetune", *moved, *options]) == 0
    with (tmp_path / "moved.tsv").open("a") as file:
        file.write("film\tpositive\n")
    assert cli.main(["finetune", *moved, *options]) == 2
    assert "train_sha256" in capsys.readouterr().err


def test_pairs_for_a_model_of_single_texts_are_refused(trained, tmp_path, capsys):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"text": "a", "text_pair": "b", "label": "positive"}\n')
    for verb, flag in (("evaluate", "data"), ("predict", "input")):
        assert cli.main([verb, f"--model={trained}/out/model", f"--{flag}={file}"]) == 2
        expected = "has pairs of texts, the model expects single texts"
        assert expected in capsys.readouterr().err


def test_training_labels_that_are_not_listed_are_refused_with_their_line(tmp_path, capsys):
    arguments = [*RECIPE, *_files(tmp_path), f"--output_dir={tmp_path}/out"]
    (tmp_path / "train.tsv").write_text("text\tlabel\na\tnegative\nb\tneutral\n")
    assert cli.main(["finetune", *arguments, "--labels=negative,positive"]) == 2
    assert "train.tsv:3: unknown label 'neutral'" in capsys.readouterr().err


def test_damaged_models_are_refused(trained, tmp_path, capsys):
    for name, damage, message in (
        ("model.safetensors", lambda data: data[: len(data) // 2], "model.safetensors"),
        ("vocab.txt", lambda data: data + b"more\nwords\n", "vocab"),
        ("config.json", lambda data: data[:-5], "config.json"),
    ):
        model = tmp_path / name / "model"
        model.mkdir(parents=True)
        for file in (trained / "out" / "model").iterdir():
            (model / file.name).write_bytes(file.read_bytes())
        (model / name).write_bytes(damage((model / name).read_bytes()))
        arguments = [f"--model={model}", f"--data={trained}/dev.tsv"]
        assert cli.main(["evaluate", *arguments]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("bert-keras evaluate: error: ") and message in error


def test_a_server_that_is_not_there_is_one_line(trained, capsys, monkeypatch):
    from bert_keras.export.client import Client
    from bert_keras.export.status import StatusError

    def unavailable(*_):
        raise StatusError(14, "failed to connect")

    monkeypatch.setattr(Client, "signatures", unavailable)
    arguments = ["--server=localhost:1", f"--input={trained}/dev.tsv"]
    assert cli.main(["predict", *arguments]) == 2
    assert "--server=localhost:1: " in capsys.readouterr().err


def test_a_model_without_a_head_is_refused(trained, tmp_path, capsys):
    encoder = small.encoder()
    checkpoints.save_pretrained(tmp_path, encoder.config, "BertModel", encoder)
    arguments = [f"--model={tmp_path}", f"--data={trained}/dev.tsv"]
    assert cli.main(["evaluate", *arguments]) == 2
    assert "has no head of a task (architecture: BertModel)" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_sigkill_at_random_moments_ends_with_bitwise_the_same_model(tmp_path, precision):
    files = [*RECIPE, *_files(tmp_path), f"--precision={precision}", "--checkpoint_every=3"]

    def start(output: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "bert_keras", "finetune", *files]
        return subprocess.Popen(
            [*command, f"--output_dir={tmp_path}/{output}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    started = time.monotonic()
    assert start("unbroken").wait() == 0
    seconds = time.monotonic() - started
    random = np.random.default_rng(0)
    kills = 0
    for _ in range(6):
        process = start("killed")
        try:
            process.wait(random.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills >= 3 and (tmp_path / "killed" / "checkpoints" / "checkpoint").exists()
    assert start("killed").wait() == 0
    expected, got = (
        load_file(tmp_path / name / "model" / "model.safetensors")
        for name in ("unbroken", "killed")
    )
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
    metrics = [
        json.loads((tmp_path / name / "metrics.json").read_text())
        for name in ("unbroken", "killed")
    ]
    assert metrics[0]["history"] == metrics[1]["history"]


@pytest.mark.slow
def test_a_head_for_another_number_of_classes_needs_new_head(tmp_path, capsys):
    small.classifier(labels=["LABEL_0", "LABEL_1", "LABEL_2"]).save_pretrained(tmp_path / "model")
    train = small.write_tsv(tmp_path / "train.tsv", 8, seed=1)
    flags = [f"--init={tmp_path}/model", f"--train={train}", f"--output_dir={tmp_path}/run"]
    flags += ["--epochs=1", "--seq_length=16"]
    assert cli.main(["finetune", *flags]) == 2
    error = capsys.readouterr().err
    assert "has 3 classes without names, received 2 labels: negative, positive; give 3" in error
    assert "or --new_head for a classifier with random weights" in error
    assert cli.main(["finetune", *flags, "--new_head"]) == 0
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["new_head"] is True
