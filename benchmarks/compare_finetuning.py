"""Prints the table of two sides' fine-tuning results, as recorded in files of JSON lines.

python benchmarks/compare_finetuning.py pytorch.jsonl ours.jsonl
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import statistics


def read(results: pathlib.Path) -> dict[str, dict[int, dict[str, float]]]:
    """Rows by task and seed."""
    found: dict[str, dict[int, dict[str, float]]] = collections.defaultdict(dict)
    for line in results.read_text().splitlines():
        row = json.loads(line)
        found[row["task"]][row["seed"]] = row
    return found


def summary(values: list[float]) -> str:
    """Mean in percent, with the standard deviation over seeds."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.2f} ± {100 * spread:.2f}"


def table(theirs: pathlib.Path, ours: pathlib.Path) -> list[str]:
    """Markdown lines; only the seeds that both sides have count."""
    lines = [
        "| task | metric | seeds | PyTorch transformers | bert_keras | difference |",
        "|---|---|---|---|---|---|",
    ]
    left, right = read(theirs), read(ours)
    for task in sorted(left.keys() & right.keys()):
        seeds = sorted(left[task].keys() & right[task].keys())
        if not seeds:
            continue
        names = [name for name in left[task][seeds[0]] if name.endswith(("_accuracy", "_f1"))]
        for metric in names:
            a, b = ([side[task][seed][metric] for seed in seeds] for side in (left, right))
            difference = 100 * (statistics.mean(b) - statistics.mean(a))
            shown = ", ".join(map(str, seeds))
            lines.append(
                f"| {task} | {metric} | {shown} | {summary(a)} | {summary(b)} | {difference:+.2f} |"
            )
    return lines


def main() -> None:
    """Reads both files and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("theirs", type=pathlib.Path)
    parser.add_argument("ours", type=pathlib.Path)
    arguments = parser.parse_args()
    print("\n".join(table(arguments.theirs, arguments.ours)))


if __name__ == "__main__":
    main()
