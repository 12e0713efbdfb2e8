"""The fine-tuning recipes that are run side by side, one place for both sides."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One task: its files below the assets' `data`, and how it is trained.

    AdamW with betas 0.9 and 0.999, epsilon 1e-6 and decay 0.01 on everything but biases and
    LayerNorm; linear warm-up over a tenth of the steps, then linear decay to 0; gradients
    clipped to norm 1; dropout 0.1; bfloat16 products, float32 weights; padded to the longest
    of the batch, batches of similar length.
    """

    folder: str
    text_columns: tuple[int, ...]
    label_column: int
    seeds: tuple[int, ...]
    epochs: int
    learning_rate: float
    batch_size: int = 32
    max_length: int = 128
    scored: tuple[str, ...] = ("dev",)

    def read(self, data: pathlib.Path, split: str) -> tuple[list[list[str]], list[int]]:
        """Texts, one list for each column, and labels of a split, which is a file's name."""
        file = data / self.folder / f"{split}.tsv"
        lines = file.read_text(encoding="utf-8-sig").split("\n")[1:]
        rows = [line.split("\t") for line in lines if line]
        texts = [[row[column] for row in rows] for column in self.text_columns]
        return texts, [int(row[self.label_column]) for row in rows]


# MRPC's dev set has 408 pairs, where chance alone moves a score by two points: its test set,
# 1,725 pairs, is scored as well. At BERT-base's usual rates so small a model is far from
# converged after three epochs; 1e-4 is of the grid that Turc et al. 2019 give for such.
RECIPES = {
    "sst2": Recipe("sst2", (0,), 1, seeds=(1, 2, 3), epochs=1, learning_rate=5e-5),
    "mrpc": Recipe(
        "mrpc",
        (3, 4),
        0,
        seeds=(1, 2, 3, 4, 5),
        epochs=3,
        learning_rate=1e-4,
        scored=("dev", "test_labelled"),
    ),
}


def scores(by_split: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Accuracy and F1 of each split, under names such as `dev_accuracy`."""
    return {
        f"{split}_{metric}": values[metric]
        for split, values in by_split.items()
        for metric in ("accuracy", "f1")
    }


def finished(results: pathlib.Path) -> set[tuple[str, int]]:
    """The (task, seed) pairs that a file of JSON lines already has."""
    if not results.exists():
        return set()
    rows = map(json.loads, results.read_text().splitlines())
    return {(row["task"], row["seed"]) for row in rows}


def append(results: pathlib.Path, row: dict[str, object]) -> None:
    """Adds one result to the file and shows it."""
    results.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row)
    with results.open("a") as stream:
        stream.write(line + "\n")
    print(line, flush=True)
