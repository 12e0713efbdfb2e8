"""`bert-keras pretrain`, through the command line's entry point."""

from __future__ import annotations

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from bert_keras import cli
from tests import small

_RECIPE = (
    "--init=size:L-1_H-64",
    "--seq_length=16",
    "--batch_size=8",
    "--warmup_steps=2",
    "--learning_rate=1e-3",
    "--steps_per_loop=5",
    "--peak_tflops=0.1",
)


def _write_text(path: pathlib.Path, documents: int, seed: int) -> None:
    sentences, _ = small.sentences(documents * 6, seed)
    lines = []
    for start in range(0, len(sentences), 6):
        lines += [*sentences[start : start + 6], ""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> pathlib.Path:
    """A folder with text, its vocabulary, and the stores `store` and `held_out`."""
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n", encoding="utf-8")
    for name, documents, seed in (("store", 200, 1), ("held_out", 20, 2)):
        _write_text(folder / f"{name}.txt", documents, seed)
        arguments = [
            f"--corpus={folder}/{name}.txt",
            f"--vocab={folder}/vocab.txt",
            f"--output_dir={folder}/{name}",
            "--documents=blank_line",
            "--sentences=line",
        ]
        assert cli.main(["prepare", *arguments]) == 0
    return folder


def _arguments(corpora, output, *flags: str) -> list[str]:
    return [*_RECIPE, f"--corpus={corpora}/store", f"--output_dir={output}", *flags]


def _pretrain(corpora, output, *flags: str) -> int:
    return cli.main(["pretrain", *_arguments(corpora, output, *flags)])


def _rows(folder: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_phases_leave_a_model_curves_and_a_report(corpora, tmp_path, capsys):
    flags = ["--steps=10,5", "--seq_length=16,24", "--batch_size=8,4", "--accumulate=2"]
    flags += [f"--eval_corpus={corpora}/held_out", "--eval_every=5", "--eval_examples=30"]
    assert _pretrain(corpora, tmp_path / "run", *flags) == 0
    shown = capsys.readouterr().out
    assert "step 15/15 (100.0%)" in shown and "held out at step 15" in shown and "MFU" in shown
    rows = _rows(tmp_path / "run")
    assert [row["step"] for row in rows if "learning_rate" in row] == [5, 10, 15]
    assert [row["step"] for row in rows if "eval_perplexity" in row] == [5, 10, 15]
    assert all(np.isfinite(row.get("loss", 0.0)) for row in rows)
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForPreTraining"]
    assert "report" in {path.stem for path in (tmp_path / "run").iterdir()}
    # It is a checkpoint like any other: to fine-tune, and to go on pretraining from.
    flags = [f"--init={tmp_path}/run/model", "--steps=3", "--masking=whole_word"]
    assert _pretrain(corpora, tmp_path / "more", *flags) == 0
    assert _rows(tmp_path / "more")[0]["mlm_loss"] < rows[0]["mlm_loss"]


@pytest.mark.slow
def test_masked_words_alone_on_packed_rows(corpora, tmp_path):
    assert _pretrain(corpora, tmp_path / "run", "--steps=5", "--objective=mlm") == 0
    rows = _rows(tmp_path / "run")
    assert "nsp_loss" not in rows[0] and rows[0]["padding"] < 0.1
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]


@pytest.mark.slow
def test_text_is_prepared_first(corpora, tmp_path):
    flags = ["--steps=5", f"--corpus={corpora}/store.txt", f"--vocab={corpora}/vocab.txt"]
    flags += ["--documents=blank_line", "--sentences=line"]
    assert _pretrain(corpora, tmp_path / "text", *flags) == 0
    assert _pretrain(corpora, tmp_path / "store", "--steps=5") == 0
    ours, theirs = (
        load_file(tmp_path / n / "model" / "model.safetensors") for n in ("text", "store")
    )
    assert all((ours[name] == theirs[name]).all() for name in theirs)


@pytest.mark.slow
def test_ready_made_examples_train_too(corpora, tmp_path, capsys):
    made = [f"--corpus={corpora}/store", f"--output={tmp_path}/examples", "--seq_length=16"]
    assert cli.main(["examples", *made, "--max_predictions=5"]) == 0
    flags = ["--steps=5", f"--corpus={tmp_path}/examples*.tfrecord", f"--vocab={corpora}/vocab.txt"]
    assert _pretrain(corpora, tmp_path / "run", *flags, "--max_predictions=5") == 0
    assert np.isfinite(_rows(tmp_path / "run")[-1]["nsp_loss"])
    capsys.readouterr()
    assert _pretrain(corpora, tmp_path / "other", *flags) == 2
    assert "--max_predictions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps=ten"], "--steps=ten: expected positive whole numbers"),
        (["--steps=10,0"], "--steps=10,0: expected positive whole numbers"),
        (["--steps=9,9", "--batch_size=8,8,8"], "--batch_size=8,8,8: expected one number, or one"),
        (["--steps=9", "--accumulate=3"], "--batch_size=8: expected a multiple of 3"),
        (["--steps=2"], "--warmup_steps=2: expected fewer than the 2 steps"),
        (["--steps=9", "--eval_every=3"], "--eval_every: needs --eval_corpus"),
        (["--steps=9", "--seq_length=1024"], "--seq_length=1024: the model has 512 positions"),
        (["--steps=9", "--seq_length=4"], "--seq_length=4 is not valid"),
        (["--steps=9", "--corpus=nowhere/*.txt", "--vocab=vocab.txt"], "vocab.txt: cannot read"),
        (["--steps=9", "--corpus=nowhere/*.txt"], "--init=size:L-1_H-64: --vocab is needed"),
        (["--steps=9", "--init=nowhere"], "--init=nowhere: "),
        (["--steps=9", "--strategy=multi_worker"], "--strategy=multi_worker: TF_CONFIG is not set"),
        (["--steps=9", "--masking=letter"], "--masking=letter is not valid, expected token or"),
    ],
)
def test_bad_input_is_one_clear_line(corpora, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert _pretrain(corpora, tmp_path / "run", *flags) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"bert-keras pretrain: error: {message}")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_vocabulary_of_another_corpus_is_refused(corpora, tmp_path, tiny_mlm, capsys):
    assert _pretrain(corpora, tmp_path / "run", "--steps=9", f"--init={tiny_mlm}") == 2
    assert "its vocabulary (30522 tokens) is not that of --corpus" in capsys.readouterr().err


def test_a_folder_of_another_run_is_refused(corpora, tmp_path, capsys):
    assert _pretrain(corpora, tmp_path / "run", "--steps=5") == 0
    capsys.readouterr()
    assert _pretrain(corpora, tmp_path / "run", "--steps=5", "--learning_rate=2e-3") == 2
    assert "holds a run with --learning_rate=0.001, received 0.002" in capsys.readouterr().err


class _Life:
    """A run in a process of its own, from its start to its end or its death."""

    def __init__(self, arguments: list[str], log: pathlib.Path, **environment: str) -> None:
        self._log = open(log, "ab")
        command = [sys.executable, "-u", "-m", "bert_keras", "pretrain", *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | environment,
        )

    def wait_for_line(self, start: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return

    def end(self, number: signal.Signals | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        self.process.communicate(timeout=300)
        self._log.close()
        return self.process.returncode


@pytest.mark.slow
def test_twenty_kills_leave_the_weights_of_the_unbroken_run(corpora, tmp_path):
    recipe = ["--steps=1500,900", "--seq_length=16,24", "--checkpoint_every=20"]
    recipe += ["--eval_every=100", f"--eval_corpus={corpora}/held_out"]

    def arguments(name: str) -> list[str]:
        return _arguments(corpora, tmp_path / name, *recipe)

    log = tmp_path / "stderr.txt"
    assert _Life(arguments("unbroken"), log).end() == 0
    moments = random.Random(7)
    kills = 0
    while kills < 20:
        life = _Life(arguments("broken"), log)
        # Mostly while it trains, now and then while it starts.
        if moments.random() < 0.9:
            life.wait_for_line("step ")
        time.sleep(moments.uniform(0.0, 1.0))
        kills += life.end(signal.SIGKILL) == -signal.SIGKILL
        done = tmp_path / "broken" / "model" / "model.safetensors"
        assert not done.exists(), f"the run was over after {kills} kills: make it longer"
    # The last life but one ends by a signal that lets it save.
    life = _Life(arguments("broken"), log)
    life.wait_for_line("step ")
    assert life.end(signal.SIGTERM) == 143
    assert _Life(arguments("broken"), log).end() == 0, log.read_text()[-2000:]
    models = [(tmp_path / n / "model" / "model.safetensors") for n in ("unbroken", "broken")]
    assert models[0].read_bytes() == models[1].read_bytes()
    timed = {"seconds", "examples_per_second", "tokens_per_second", "input_wait"}
    timed |= {"flop_utilisation"}
    unbroken, broken = (
        [{k: v for k, v in row.items() if k not in timed} for row in _rows(tmp_path / name)]
        for name in ("unbroken", "broken")
    )
    # The loop that the last signal cut short is the only other line.
    extra = [row for row in broken if row not in unbroken]
    assert [row for row in unbroken if "eval_loss" in row] == [
        row for row in broken if "eval_loss" in row
    ]
    assert len(extra) <= 2


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.mark.slow
def test_two_workers_leave_the_model_of_one_device(corpora, tmp_path):
    recipe = ["--steps=12", "--dropout=0", "--eval_every=6", "--learning_rate=1e-4"]
    recipe.append(f"--eval_corpus={corpora}/held_out")

    def arguments(name: str) -> list[str]:
        return _arguments(corpora, tmp_path / name, *recipe)

    log = tmp_path / "stderr.txt"
    assert _Life(arguments("one"), log).end() == 0
    workers = [f"localhost:{port}" for port in _free_ports(2)]
    lives = []
    for index in range(2):
        place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        flags = [*arguments("two"), "--strategy=multi_worker"]
        lives.append(_Life(flags, log, TF_CONFIG=json.dumps(place)))
    assert [life.end() for life in lives] == [0, 0], log.read_text()[-2000:]
    one, two = (load_file(tmp_path / n / "model" / "model.safetensors") for n in ("one", "two"))
    assert max(np.abs(one[name] - two[name]).max() for name in one) < 1e-5
    for a, b in zip(_rows(tmp_path / "one"), _rows(tmp_path / "two"), strict=True):
        assert a["step"] == b["step"]
        name = "loss" if "loss" in a else "eval_loss"
        assert a[name] == pytest.approx(b[name], abs=1e-4)
