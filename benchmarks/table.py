"""The results of a suite as Markdown."""

from __future__ import annotations

from typing import Any

Result = dict[str, Any]


def _number(value: float) -> str:
    """Three figures at least, no exponents."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _cells(row: Result, case: str) -> list[str]:
    summary = row["summary"][case]
    times, share = summary.get("ours_is_times"), summary.get("share_of_limit")
    return [
        _number(summary["rate"]),
        f"{_number(summary['lowest'])}–{_number(summary['highest'])}",
        _number(1000 * summary["seconds"]),
        "" if times is None else f"{times:.2f}",
        "" if share is None else f"{share:.0%}",
    ]


def _agreement(row: Result) -> str:
    """How well a side's values agree with ours, for the line on its settings."""
    found = row.get("agreement")
    if not found:
        return ""
    value = found["value"]
    if found["kind"] == "labels":
        text = f"{value:.2%} equal"
    else:
        text = f"values within {value:.1g}"
    if not row["exact"]:
        return f"; another model: {text}"
    return f"; {'agrees' if found['agrees'] else 'DISAGREES'} with ours: {text}"


def _match(match: Result) -> list[str]:
    """One table, and a line for each side's settings or its failure."""
    lines = [
        f"### {match['match']}",
        "",
        f"| side | {match['unit']} | range | ms | ours is × | of the limit |",
        "|---|---|---|---|---|---|",
    ]
    measured = [row for row in match["sides"] if "summary" in row]
    for case in measured[0]["summary"] if measured else ():
        for row in measured:
            name = f"{row['side']}, {case}" if case else row["side"]
            lines.append(f"| {' | '.join([name, *_cells(row, case)])} |")
    lines.append("")
    for row in match["sides"]:
        if "missing" in row:
            lines.append(f"- {row['side']}: left out, missing: {row['missing']}")
        elif "error" in row:
            lines.append(f"- {row['side']}: FAILED: {row['error']}")
        else:
            lines.append(f"- {row['side']}: {row['settings']}{_agreement(row)}")
            lines += [f"  - {name}: {value}" for name, value in row.get("notes", {}).items()]
    return lines


def render(result: Result) -> str:
    """All matches of a suite."""
    machine = result["machine"]
    lines = [
        f"## {result['suite']}: {result['title']}",
        "",
        f"{machine['processor']}, {result['threads']} of {machine['cores']} cores, medians of "
        f"{result['rounds']} rounds; load average at the start {machine['load_average'][0]}.",
    ]
    for match in result["matches"]:
        lines += ["", *_match(match)]
    return "\n".join([*lines, ""])
