"""report.html of a pretraining run: its curves and its settings."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from bert_keras.training.html_page import curves, value_table, write_page

# Each panel: its title and the columns of the log that it shows, with their legends.
_PANELS = (
    ("Masked language model: loss", {"mlm_loss": "training", "eval_mlm_loss": "held out"}),
    (
        "Masked language model: accuracy",
        {"mlm_accuracy": "training", "eval_mlm_accuracy": "held out"},
    ),
    ("Next sentence: loss", {"nsp_loss": "training", "eval_nsp_loss": "held out"}),
    ("Next sentence: accuracy", {"nsp_accuracy": "training", "eval_nsp_accuracy": "held out"}),
    ("Learning rate", {"learning_rate": "learning rate"}),
    ("Tokens per second", {"tokens_per_second": "training"}),
    ("Share of the time spent waiting for input", {"input_wait": "training"}),
)


def write_report(
    path: pathlib.Path, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Writes the page; the plots are in it as SVG.

    Args:
        path: the HTML file.
        rows: the lines of `metrics.jsonl`, at least one.
        settings: names and values of what was asked for.
    """
    last = {name: value for row in rows for name, value in row.items()}
    body = [
        "<h1>Pretraining</h1>",
        "<h2>Where it stands</h2>",
        value_table(last),
        "<h2>Curves</h2>",
        curves(rows, _PANELS),
        "<h2>Settings</h2>",
        value_table(settings),
    ]
    write_page(path, "Pretraining", body)
