"""The sentences of SST-2 that the benchmarks use, the same for all sides."""

from __future__ import annotations

import csv
import pathlib
import runpy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _rows(assets: str) -> list[tuple[str, int]]:
    file = pathlib.Path(assets, "data", "sst2", "train.tsv")
    lines = file.read_text(encoding="utf-8").split("\n")[1:]
    parts = [line.split("\t") for line in lines if line]
    return [(sentence, int(label)) for sentence, label in parts]


def for_training(work: Mapping[str, Any]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """A random sample of `examples` training sentences, and their labels."""
    rows = _rows(work["assets"])
    chosen = np.random.default_rng(0).permutation(len(rows))[: work["examples"]]
    labels = np.array([rows[index][1] for index in chosen], np.int32)
    return [rows[index][0] for index in chosen], labels


def all_for_training(work: Mapping[str, Any]) -> list[str]:
    """All training sentences, of which `for_training` is a sample."""
    return [sentence for sentence, _ in _rows(work["assets"])]


def for_inference(work: Mapping[str, Any]) -> list[str]:
    """The first `examples` training sentences: they are shorter and longer than those of dev."""
    return [sentence for sentence, _ in _rows(work["assets"])[: work["examples"]]]


def labelled(path: str) -> tuple[list[str], list[str]]:
    """The sentences and labels of a file like SST-2's."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["sentence"] for row in rows], [row["label"] for row in rows]


def grouped_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[npt.NDArray[np.integer]]:
    """Batches of indices as our own fine-tuning has grouped them: 50 batches sorted together."""
    # Loaded by itself: the package around it would import TensorFlow.
    batches = runpy.run_path(str(_ROOT / "bert_keras" / "data" / "batches.py"))
    order = batches["epoch_order"](len(lengths), lengths, batch_size, seed=0, epoch=0)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def padded(
    ids: Sequence[Sequence[int]], rows: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token ids `[batch, longest]` of some rows, and the mask of what is not padding."""
    lengths = np.array([len(ids[row]) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    filled = np.zeros(mask.shape, np.int64)
    filled[mask] = np.concatenate([ids[row] for row in rows])
    return filled, mask.astype(np.int64)
