"""The example of docs/jax.md runs, on a small store, and TensorFlow reads what it leaves."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import bert_keras as bk
from bert_keras.data.prepare import PrepareSettings, prepare
from tests import small

_GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "jax.md"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]


def test_the_example_of_the_guide(tmp_path):
    texts, _ = small.sentences(60)
    corpus = tmp_path / "corpus.txt"
    documents = ["\n".join(texts[i : i + 4]) for i in range(0, 60, 4)]
    corpus.write_text("\n\n".join(documents))
    prepare(str(corpus), small.tokenizer(), tmp_path / "store", PrepareSettings("blank_line"))
    (code,) = re.findall(r"```python\n(.*?)```", _GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    for long, short in (("10000, 32", "2, 4"), ('"mini"', '"tiny"'), ("=128", "=16")):
        assert code.count(long) == 1
        code = code.replace(long, short)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"2/2.*loss: \d", done.stdout)
    pretrainer = bk.tasks.BertPretrainer.from_pretrained(tmp_path / "model", max_length=16)
    assert pretrainer.next_sentence
    assert pretrainer.tokenizer.vocabulary == small.VOCABULARY
    values = np.concatenate([np.ravel(weight.numpy()) for weight in pretrainer.trainable_weights])
    assert np.isfinite(values).all()


def test_the_benchmark_runs_without_a_gpu_only_when_asked():
    def run(*flags: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmarks.gpu_utilisation", "--size=tiny", "--length=16"]
        return subprocess.run(
            [*command, *flags], cwd=_GUIDE.parents[1], capture_output=True, text=True
        )

    done = run("--steps=3", "--batch_size=2", "--peak_tflops=0.1", "--any_device")
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"tiny +length  16 +batch +2 .* tokens/s .* \d+\.\d%\n", done.stdout)
    if "cpu" in done.stdout.splitlines()[0]:
        refused = run()
        assert refused.returncode == 2 and "JAX sees no GPU, only cpu" in refused.stderr
