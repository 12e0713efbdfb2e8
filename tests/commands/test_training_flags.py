"""What the flags of `finetune` that shape the training do to the weights that it leaves."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from bert_keras import cli
from tests import small

pytestmark = pytest.mark.slow

Weights = dict[str, np.ndarray]
LAYER = "bert.encoder.layer.{}.output.dense.weight"
WORDS = "bert.embeddings.word_embeddings.weight"
FLIPPED = {"negative": "positive", "positive": "negative"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Training data, the same with wrong labels, and a model to begin with."""
    folder = tmp_path_factory.mktemp("flags")
    file = small.write_tsv(folder / "train.tsv", 64, seed=1)
    header, *rows = [line.split("\t") for line in file.read_text().splitlines()]
    flipped = [header, *([text, FLIPPED[label]] for text, label in rows)]
    (folder / "flipped.tsv").write_text("".join("\t".join(row) + "\n" for row in flipped))
    small.classifier().save_pretrained(folder / "init")
    return folder


@pytest.fixture(scope="module")
def finetune(folder: pathlib.Path) -> Any:
    """Runs the verb with some flags and gives the weights."""
    count = iter(range(100))

    def run(*flags: str, train: str = "train.tsv") -> Weights:
        output = folder / f"out{next(count)}"
        given = [f"--init={folder}/init", f"--train={folder}/{train}", f"--output_dir={output}"]
        given += ["--epochs=2", "--batch_size=16", "--learning_rate=1e-3", "--seq_length=16"]
        assert cli.main(["finetune", *given, *flags]) == 0
        return load_file(output / "model" / "model.safetensors")

    return run


@pytest.fixture(scope="module")
def before(folder: pathlib.Path) -> Weights:
    return load_file(folder / "init" / "model.safetensors")


def _moved(before: Weights, after: Weights, name: str) -> float:
    """How far the weights of a name went, the root of the mean square."""
    return float(np.sqrt(np.mean((before[name] - after[name]) ** 2)))


def test_frozen_parts_stay_and_lower_layers_learn_more_slowly(
    finetune: Any, before: Weights
) -> None:
    after = finetune("--freeze=embeddings", "--layer_decay=0.1")
    frozen = [name for name in before if name.startswith("bert.embeddings")]
    assert len(frozen) == 5
    assert all(np.array_equal(before[name], after[name]) for name in frozen)
    lower, upper = (_moved(before, after, LAYER.format(layer)) for layer in (0, 1))
    assert 0.05 < lower / upper < 0.2
    after = finetune("--freeze=layers:1")
    still = {name for name in before if np.array_equal(before[name], after[name])}
    assert {LAYER.format(0), WORDS} <= still and LAYER.format(1) not in still
    assert all("encoder.layer.1" not in name for name in still)


def test_lora_changes_queries_and_values_by_a_low_rank(finetune: Any, before: Weights) -> None:
    updates = []
    for alpha in (2, 8):
        after = finetune("--lora_rank=2", f"--lora_alpha={alpha}")
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        layers = {name for name in changed if name.startswith("bert")}
        kinds = {name.rsplit(".", 2)[1] for name in layers}
        assert kinds == {"query", "value"} and len(layers) == 4
        assert {"classifier.weight", "classifier.bias"} <= changed
        for name in layers:
            values = np.linalg.svd(after[name] - before[name], compute_uv=False)
            assert values[1] > 1e-5 > values[2]
        updates.append(max(_moved(before, after, name) for name in layers))
    assert updates[1] > 2 * updates[0]


def test_a_teacher_alone_makes_the_labels_count_nothing(
    finetune: Any, folder: pathlib.Path
) -> None:
    flags = [f"--teacher={folder}/init", "--distill_weight=1", "--distill_temperature=3"]
    taught, misled = (finetune(*flags, train=name) for name in ("train.tsv", "flipped.tsv"))
    assert all(np.array_equal(taught[name], misled[name]) for name in taught)
    mixed = finetune(*flags[:1], "--distill_weight=0.5")
    cooler = finetune(*flags[:2], "--distill_temperature=1")
    for other in (finetune(), mixed, cooler):
        assert not np.array_equal(taught["classifier.weight"], other["classifier.weight"])
