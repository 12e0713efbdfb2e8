"""The line that shows where a pretraining run stands."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

# Loops that the estimate of the time left looks back on.
_RECENT = 20


def seconds_left(total_steps: int, rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Estimate from the pace of the recent loops; None before there is a pace.

    Args:
        rows: lines of the log, the last one the newest, with `step` and `seconds`.
    """
    recent = list(rows[-_RECENT - 1 :])
    if len(recent) < 2:
        return None
    steps = recent[-1]["step"] - recent[0]["step"]
    if steps <= 0:
        return None
    pace = (recent[-1]["seconds"] - recent[0]["seconds"]) / steps
    return pace * (total_steps - recent[-1]["step"])


def progress_line(
    row: Mapping[str, Any], total_steps: int, rows: Sequence[Mapping[str, Any]]
) -> str:
    """One line: share done, losses, accuracies, rates and the time left.

    Args:
        row: the loop's line of the log.
        total_steps: of the run.
        rows: the log up to now.
    """
    names = [name for name in ("mlm", "nsp") if f"{name}_loss" in row]
    parts = [f"step {row['step']}/{total_steps} ({row['step'] / total_steps:.1%})"]
    parts.append(" ".join(f"{name} {row[f'{name}_loss']:.3f}" for name in names))
    parts.append("acc " + "/".join(f"{row[f'{name}_accuracy']:.3f}" for name in names))
    parts.append(f"lr {row['learning_rate']:.2e}")
    parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
    parts.append(f"{row['examples_per_second']:,.1f} examples/s")
    parts.append(f"padding {row['padding']:.1%}")
    parts.append(f"input wait {row['input_wait']:.1%}")
    if "flop_utilisation" in row:
        parts.append(f"MFU {row['flop_utilisation']:.0%}")
    left = seconds_left(total_steps, rows)
    if left is not None:
        parts.append(f"left {datetime.timedelta(seconds=round(left))}")
    return "  ".join(parts)
