"""Draws how cost grows, with the law that it should follow. Needs `matplotlib`."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

_COLOURS = ("#0072b2", "#e69f00", "#009e73")


@dataclasses.dataclass(frozen=True)
class Law:
    """What seconds should be a sum of: powers of the size, each with a share not below 0 unless
    it is `signed`."""

    powers: tuple[int, ...]
    text: str
    signed: bool = False


LINEAR = Law((0, 1), "fixed + linear")
QUADRATIC = Law((0, 1, 2), "fixed + linear + quadratic")
# The last layer works for [CLS] alone: less than a layer each, from the first on.
LINEAR_LESS = Law((0, 1), "linear, less what the last layer leaves out", signed=True)
INVERSE = Law((0, -1), "fixed + 1 / size")

# The law of each match and what its horizontal axis shows.
LAWS = {
    "length": (QUADRATIC, "tokens of a row"),
    "batch": (LINEAR, "rows of a batch"),
    "layers": (LINEAR_LESS, "layers"),
    "corpus": (LINEAR, "megabytes of text"),
    "workers": (INVERSE, "threads, each with a core"),
    "text": (LINEAR, "megabytes of text"),
}


def points(match: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Sizes and median seconds by kind, such as "forward"; none where the match failed."""
    found: dict[str, list[tuple[float, float]]] = {}
    for case, summary in match["sides"][0].get("summary", {}).items():
        kind, size = case.split()
        found.setdefault(kind, []).append((float(size), summary["seconds"]))
    return found


def fit(law: Law, measured: list[tuple[float, float]]) -> list[float]:
    """Factors of the law's powers: least squares of relative errors."""
    import numpy as np
    from scipy.optimize import nnls

    sizes, seconds = np.array(measured).T
    terms = np.stack([sizes**power for power in law.powers], axis=1)
    solve = np.linalg.lstsq if law.signed else nnls
    return solve(terms / seconds[:, None], np.ones(len(seconds)))[0].tolist()


def _formula(law: Law, factors: list[float]) -> str:
    names = {0: "", 1: " n", 2: " n²", -1: " / n"}
    parts = [
        f"{1000 * factor:.3g}{names[power]}"
        for power, factor in zip(law.powers, factors, strict=True)
        if factor
    ]
    return " + ".join(parts).replace("+ -", "− ").replace("-", "−")


def draw(result: dict[str, Any], output_dir: pathlib.Path) -> None:
    """Writes `growth_NAME.svg` for each match, the same bytes from the same results."""
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure

    for match in result["matches"]:
        law, label = LAWS[match["match"]]
        series = points(match)
        if not series:
            continue
        figure = Figure(figsize=(6, 4), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        for (kind, measured), colour in zip(series.items(), _COLOURS, strict=False):
            factors = fit(law, measured)
            sizes = np.linspace(measured[0][0], measured[-1][0], 200)
            terms = [f * sizes**p for f, p in zip(factors, law.powers, strict=True)]
            legend = f"{kind}: {_formula(law, factors)} ms"
            axes.plot(sizes, 1000 * sum(terms), color=colour, label=legend)
            axes.plot(*zip(*((x, 1000 * y) for x, y in measured), strict=True), "o", color=colour)
        axes.set_title(f"Law: {law.text}", fontsize=11)
        axes.set_xlabel(f"n, {label}", fontsize=10)
        axes.set_ylabel("milliseconds", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
        path = output_dir / f"growth_{match['match']}.svg"
        with matplotlib.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "path"}):
            figure.savefig(path, format="svg", metadata={"Date": None})
