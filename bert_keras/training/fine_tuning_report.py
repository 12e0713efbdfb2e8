"""report.html of a fine-tuning run: its scores, its curves, and its worst mistakes."""

from __future__ import annotations

import html
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bert_keras.config import read_json
from bert_keras.training.highlights import STYLE
from bert_keras.training.html_page import curves, svg, table, value_table, write_page
from bert_keras.training.mistakes import Row, worst_mistakes

# Tasks whose mistakes are marked in their text.
_MARKED = ("tagging", "question_answering")
_LEGEND = (
    '<p class="verdict"><mark class="gold">gold</mark> <mark class="wrong">predicted, wrong</mark> '
    '<mark class="right">both</mark></p>'
)
# Longest gold answers of each line of the table, in words.
_LENGTHS = (1, 2, 4, 8, 16)
# An ideograph is a word.
_WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
# What run.json has beside the flags.
_NO_SETTINGS = ("config", "options", "vocabulary_sha256", "train_sha256", "dev_sha256")


def write_fine_tuning_report(folder: pathlib.Path) -> None:
    """Writes `report.html` from what `finetune` has left in a folder; it may be called again.

    Args:
        folder: holds `run.json`, `metrics.json` and, with dev data, `predictions.jsonl`.
    """
    run, metrics = read_json(folder / "run.json"), read_json(folder / "metrics.json")
    rows = _read_rows(folder / "predictions.jsonl")
    task = run["task"]
    body = [f"<h1>Fine-tuning: {html.escape(task)}</h1>"]
    for title, part in (
        ("Scores", value_table(_scalars(metrics))),
        ("Learning curves", _learning_curves(metrics["history"])),
        *_breakdowns(metrics, task, rows),
        ("The worst mistakes", _mistakes(task, rows)),
        ("Settings", value_table(_settings(run))),
    ):
        if part:
            body += [f"<h2>{html.escape(title)}</h2>", part]
    write_page(folder / "report.html", f"Fine-tuning: {task}", body, STYLE)


def _read_rows(path: pathlib.Path) -> list[Row]:
    if not path.exists():
        return []
    # Not splitlines: a text may hold what Unicode calls a line end, which JSON writes as it is.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _scalars(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if not isinstance(value, (dict, list))}


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    asked = {name: value for name, value in run.items() if name not in _NO_SETTINGS}
    return {name: value for name, value in asked.items() if value not in (None, "")}


def _learning_curves(history: Sequence[Mapping[str, float]]) -> str:
    names = dict.fromkeys(name for row in history for name in row if name.startswith("dev_"))
    scores = {name: name.removeprefix("dev_") for name in names if name != "dev_loss"}
    title = "Dev scores" if len(scores) > 1 else f"Dev {''.join(scores.values())}"
    panels = [("Loss", {"train_loss": "training", "dev_loss": "dev"}), (title, scores)]
    return curves(history, panels, step="epoch", marked="")


def _breakdowns(
    metrics: Mapping[str, Any], task: str, rows: Sequence[Row]
) -> list[tuple[str, str]]:
    """Titles and parts of the page that depend on the task."""
    parts = []
    if "confusion_matrix" in metrics:
        parts.append(("Confusion matrix", _confusion_matrix(metrics["confusion_matrix"])))
    for name, title in (("per_class", "By label"), ("per_type", "By type of entity")):
        if name in metrics:
            parts.append((title, _scores_by_name(metrics[name])))
    if task == "question_answering" and rows:
        parts.append(("By length of the answer", _by_answer_length(rows)))
    if task in ("regression", "embedding") and rows:
        parts.append(("Predicted and gold", _scatter(rows)))
    return parts


def _scores_by_name(scores: Mapping[str, Mapping[str, float]]) -> str:
    columns = list(next(iter(scores.values()), {}))
    lines = [[name, *(own[column] for column in columns)] for name, own in scores.items()]
    return table(["", *columns], lines)


def _confusion_matrix(matrix: Mapping[str, Any]) -> str:
    """Gold labels down, predicted ones across; darker is a larger share of the gold label's."""
    labels = [html.escape(str(label)) for label in matrix["labels"]]
    head = "<tr><th>gold ↓ predicted →</th>" + "".join(f"<th>{x}</th>" for x in labels) + "</tr>"
    lines = []
    for index, (label, counts) in enumerate(zip(labels, matrix["counts"], strict=True)):
        cells = []
        for column, count in enumerate(counts):
            share = count / max(1, sum(counts))
            colour = "46,139,87" if column == index else "210,89,26"
            cells.append(f'<td style="background:rgba({colour},{0.75 * share:.3f})">{count:,}</td>')
        lines.append(f"<tr><th>{label}</th>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="matrix">{head}{"".join(lines)}</table></div>'


def _by_answer_length(rows: Sequence[Row]) -> str:
    """Exact match and F1, in percent, by the words of the shortest gold answer."""
    groups: dict[str, list[Row]] = {}
    for name in ("no answer", *_length_names()):
        groups[name] = []
    for row in rows:
        words = min((len(_WORD.findall(gold["text"])) for gold in row["answers"]), default=None)
        groups[_length_name(words)].append(row)
    return table(
        ["words", "questions", "exact match", "F1"],
        [
            [name, len(own), _mean(own, "exact_match"), _mean(own, "f1")]
            for name, own in groups.items()
            if own
        ],
    )


def _length_names() -> list[str]:
    starts = [1, *(length + 1 for length in _LENGTHS[:-1])]
    names = [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, _LENGTHS, strict=True)]
    return [*names, f"more than {_LENGTHS[-1]}"]


def _length_name(words: int | None) -> str:
    if words is None:
        return "no answer"
    fitting = (i for i, length in enumerate(_LENGTHS) if words <= length)
    return _length_names()[next(fitting, len(_LENGTHS))]


def _mean(rows: Sequence[Row], name: str) -> float:
    """In percent, as the metrics of questions are."""
    return float(100 * sum(row[name] for row in rows) / len(rows))


def _scatter(rows: Sequence[Row]) -> str:
    from matplotlib.figure import Figure

    pairs = [
        (float(row.get("expected", row["label"])), row["prediction"])
        for row in rows
        if "label" in row and isinstance(row["prediction"], (int, float))
    ]
    if not pairs:
        return ""
    figure = Figure(figsize=(6.5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    gold, found = zip(*pairs, strict=True)
    axes.scatter(gold, found, s=9, alpha=0.5, linewidths=0)
    axes.set_xlabel("gold")
    axes.set_ylabel("predicted")
    axes.grid(alpha=0.3)
    return f'<div style="max-width:40rem">{svg(figure)}</div>'


def _mistakes(task: str, rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    found = worst_mistakes(task, rows)
    count = f"<p>{found.total:,} of {len(rows):,} answers differ from the gold ones"
    count += f"; the worst {len(found.shown)}:</p>" if found.shown else ".</p>"
    return count + (_LEGEND if task in _MARKED else "") + "".join(found.shown)
