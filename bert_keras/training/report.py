"""report.html: the curves of a run and its settings, one file that needs no other."""

from __future__ import annotations

import html
import io
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from bert_keras.data.files import write_text

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
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { font-size: 1.5rem; }  h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; }
td, th { text-align: left; padding: .15rem 1.5rem .15rem 0; border-bottom: 1px solid #ddd; }
td { font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; }
"""


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
        _table({name: _shown(value) for name, value in last.items()}),
        "<h2>Curves</h2>",
        _curves(rows),
        "<h2>Settings</h2>",
        _table({name: _shown(value) for name, value in settings.items()}),
    ]
    write_text(
        path,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Pretraining</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n",
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    return "" if value is None else str(value)


def _table(values: Mapping[str, str]) -> str:
    lines = [
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in values.items()
    ]
    return "<table>" + "".join(lines) + "</table>"


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return [step for step, _ in points], [value for _, value in points]


def _curves(rows: Sequence[Mapping[str, Any]]) -> str:
    """One SVG with a panel for every quantity that the log has."""
    import matplotlib
    from matplotlib.figure import Figure

    panels = [
        (title, shown)
        for title, columns in _PANELS
        if (shown := {name: label for name, label in columns.items() if _series(rows, name)[0]})
    ]
    if not panels:
        return "<p>nothing yet</p>"
    lines = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(11, 3.4 * lines), layout="constrained")
    for index, (title, columns) in enumerate(panels):
        axes = figure.add_subplot(lines, 2, index + 1)
        for name, label in columns.items():
            held_out = name.startswith("eval_")
            style = "o-" if held_out or len(_series(rows, name)[0]) == 1 else "-"
            axes.plot(*_series(rows, name), style, label=label, markersize=3, linewidth=1.4)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("step", fontsize=9)
        axes.grid(alpha=0.3)
        if len(columns) > 1:
            axes.legend(fontsize=9)
    buffer = io.StringIO()
    # No date and no random names inside, so that the same log gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "bert_keras"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
