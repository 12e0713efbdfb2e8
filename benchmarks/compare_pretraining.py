"""Prints the tables of the pretraining runs and draws their curves. Needs `matplotlib`.

    python benchmarks/compare_pretraining.py pytorch.jsonl kerashub.jsonl ours.jsonl \
        --plot=docs/images/pretraining_mini.svg

Each file holds the lines of one run.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import Any

Line = dict[str, Any]

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
PANELS = (
    ("eval_loss", "Held-out loss of masked words, nats", 1.0, 2),
    ("eval_accuracy", "Held-out accuracy of masked words, %", 100.0, 1),
)


def read(results: pathlib.Path) -> list[Line]:
    """The lines of one run.

    Raises:
        SystemExit: the file is empty, or holds more than one run.
    """
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    seconds = [line["seconds"] for line in lines]
    if not lines or seconds != sorted(seconds) or len({line["side"] for line in lines}) > 1:
        raise SystemExit(f"{results}: expected the lines of exactly one run")
    return lines


def final_table(runs: Sequence[list[Line]]) -> list[str]:
    """What each side had reached at the end, in Markdown."""
    rows = [
        "| side | loss | accuracy, % | tokens/s | tokens per processor second | steps | tokens |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        end = run[-1]
        rows.append(
            f"| {end['side']} | {end['eval_loss']:.3f} | {100 * end['eval_accuracy']:.2f} "
            f"| {end['tokens'] / end['seconds']:,.0f} | {end['tokens'] / end['cpu_seconds']:,.0f} "
            f"| {end['steps']:,} | {end['tokens']:,} |"
        )
    return rows


def curve_table(runs: Sequence[list[Line]]) -> list[str]:
    """Loss and accuracy by time, in Markdown; the runs' evaluations are equally far apart."""
    names = [run[0]["side"] for run in runs]
    rows = [
        f"| minutes | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
    ]
    for lines in zip(*runs, strict=True):
        cells = [f"{one['eval_loss']:.3f} ({100 * one['eval_accuracy']:.1f} %)" for one in lines]
        rows.append(f"| {lines[0]['seconds'] / 60:.1f} | {' | '.join(cells)} |")
    return rows


def draw(runs: Sequence[list[Line]], plot: pathlib.Path) -> None:
    """Writes the curves as one SVG, the same bytes from the same results."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained", facecolor="white")
    for index, (column, title, scale, digits) in enumerate(PANELS):
        axes = figure.add_subplot(1, 2, index + 1)
        for run, colour in zip(runs, COLOURS, strict=False):
            minutes = [line["seconds"] / 60 for line in run]
            values = [scale * line[column] for line in run]
            label = f"{run[0]['side']}: {values[-1]:.{digits}f}"
            axes.plot(minutes, values, "o-", color=colour, label=label, markersize=3.5)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("minutes of training", fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9, title="at the end", title_fontsize=9)
    plot.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": plot.name, "svg.fonttype": "path"}):
        figure.savefig(plot, format="svg", metadata={"Date": None})


def main() -> None:
    """Prints the tables and, on request, draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=pathlib.Path, nargs="+")
    parser.add_argument("--plot", type=pathlib.Path)
    arguments = parser.parse_args()
    runs = [read(results) for results in arguments.results]
    print("\n".join([*final_table(runs), "", *curve_table(runs)]))
    if arguments.plot:
        draw(runs, arguments.plot)


if __name__ == "__main__":
    main()
