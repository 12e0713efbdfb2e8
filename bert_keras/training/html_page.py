"""Pages that need no other file: a frame, tables, and plots as SVG inside."""

from __future__ import annotations

import html
import io
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bert_keras.data.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { font-size: 1.5rem; }  h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; }
td, th { text-align: left; padding: .15rem 1.5rem .15rem 0; border-bottom: 1px solid #ddd; }
td { font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; }
"""


def write_page(path: pathlib.Path, title: str, body: Iterable[str], style: str = "") -> None:
    """Writes a page of these parts, which are HTML; `style` is added to that of all pages."""
    write_text(
        path,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n",
    )


def shown(value: Any) -> str:
    """A value of a setting or a metric as text: numbers to four digits, lists with commas."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value))
    return "" if value is None else str(value)


def value_table(values: Mapping[str, Any]) -> str:
    """A table of names and values."""
    lines = [
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(shown(value))}</td></tr>"
        for name, value in values.items()
    ]
    return "<table>" + "".join(lines) + "</table>"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a line of column titles; the first column holds the rows' names."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in header) + "</tr>"]
    for name, *values in rows:
        cells = "".join(f"<td>{html.escape(shown(value))}</td>" for value in values)
        lines.append(f"<tr><th>{html.escape(shown(name))}</th>{cells}</tr>")
    return '<table class="columns">' + "".join(lines) + "</table>"


def svg(figure: Figure) -> str:
    """A figure of matplotlib as an element; the same figure gives the same text."""
    import matplotlib

    buffer = io.StringIO()
    # No date and no random names inside.
    with matplotlib.rc_context({"svg.hashsalt": "bert_keras"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def curves(
    rows: Sequence[Mapping[str, Any]],
    panels: Iterable[tuple[str, Mapping[str, str]]],
    step: str = "step",
    marked: str = "eval_",
) -> str:
    """One SVG with a panel for every quantity that the rows have, two panels a line.

    Args:
        rows: the lines of a log.
        panels: for each its title, and the columns that it shows with their legends.
        step: the column of the horizontal axis.
        marked: what the names of columns begin with whose few points are marked.
    """
    from matplotlib.figure import Figure

    found = [
        (title, there)
        for title, columns in panels
        if (there := {name: label for name, label in columns.items() if _series(rows, name, step)})
    ]
    if not found:
        return "<p>nothing yet</p>"
    lines = math.ceil(len(found) / 2)
    figure = Figure(figsize=(11, 3.4 * lines), layout="constrained")
    for index, (title, columns) in enumerate(found):
        axes = figure.add_subplot(lines, 2, index + 1)
        for name, label in columns.items():
            points = _series(rows, name, step)
            style = "o-" if name.startswith(marked) or len(points) == 1 else "-"
            axes.plot(*zip(*points, strict=True), style, label=label, markersize=3, linewidth=1.4)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(step, fontsize=9)
        axes.grid(alpha=0.3)
        if len(columns) > 1:
            axes.legend(fontsize=9)
        if all(float(x).is_integer() for x, _ in points) and len(points) < 20:
            axes.set_xticks([x for x, _ in points])
    return svg(figure)


def _series(rows: Sequence[Mapping[str, Any]], name: str, step: str) -> list[tuple[float, float]]:
    return [(row[step], row[name]) for row in rows if row.get(name) is not None]
