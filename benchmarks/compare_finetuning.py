"""Scores what both sides of the fine-tuning comparison left, and prints the table.

The outputs of both sides are scored by the same code, our tasks' own. Each run becomes a JSON
line of results.jsonl below --results; runs that it has are not scored again. Needs
BERT_KERAS_ASSETS.

    python benchmarks/compare_finetuning.py --results=RESULTS
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import recipes

SIDES = ("pytorch", "ours")

Row = dict[str, Any]


def new_rows(results: pathlib.Path, known: list[Row], assets: pathlib.Path) -> Iterator[Row]:
    """Scores of the runs that are not known."""
    scored = {(row["task"], row["side"], row["seed"]) for row in known}
    for name in recipes.RECIPES:
        files = [file for side in SIDES for file in sorted((results / name).glob(f"{side}-*.npz"))]
        runs = [(file, *file.stem.split("-")) for file in files]
        left = [run for run in runs if (name, run[1], int(run[2])) not in scored]
        if left:
            yield from _scored(name, results / name, left, assets)


def _scored(
    name: str, folder: pathlib.Path, runs: list[tuple[Any, ...]], assets: pathlib.Path
) -> Iterator[Row]:
    from finetune_features import Setup, score

    setup = Setup(name, assets, folder)
    model = setup.model(seed=0)
    for file, side, seed in runs:
        found = dict(np.load(file))
        times = {kind: round(float(found.pop(kind)), 1) for kind in ("seconds", "cpu_seconds")}
        metrics = {
            f"{split}_{metric}": value
            for split, outputs in found.items()
            for metric, value in score(
                model, setup.prepared[split], setup.recipe.task, outputs
            ).items()
        }
        yield {"task": name, "side": side, "seed": int(seed), "metrics": metrics, **times}


def summary(values: list[float]) -> str:
    """The mean, with the standard deviation over seeds."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {spread:.2f}"


def table(rows: list[Row]) -> list[str]:
    """Markdown lines; only the seeds that both sides have count."""
    lines = [
        "| task | metric | seeds | PyTorch transformers | bert_keras | difference |",
        "|---|---|---|---|---|---|",
    ]
    for name, recipe in recipes.RECIPES.items():
        own = [row for row in rows if row["task"] == name]
        left, right = (
            {row["seed"]: row["metrics"] for row in own if row["side"] == side} for side in SIDES
        )
        seeds = sorted(left.keys() & right.keys())
        if not seeds:
            continue
        shown = [name for name in left[seeds[0]] if name.split("_", 1)[1] in recipe.metrics]
        for metric in shown:
            a, b = ([recipe.scale * side[seed][metric] for seed in seeds] for side in (left, right))
            difference = statistics.mean(b) - statistics.mean(a)
            numbers = ", ".join(map(str, seeds))
            lines.append(
                f"| {name} | {metric} | {numbers} | {summary(a)} | {summary(b)} | "
                f"{difference:+.2f} |"
            )
    return lines


def main() -> None:
    """Scores new runs and prints the table of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    results = parser.parse_args().results
    file = results / "results.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for row in new_rows(results, rows, pathlib.Path(os.environ["BERT_KERAS_ASSETS"])):
        with file.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        rows.append(row)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
