"""How the cost of ours grows with the size of the work."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks import growth_plots
from benchmarks.suite import Match, Options, Side, Suite

# BERT-small, and one of its four sizes is replaced by the case's.
_ENCODER = {"hidden": 512, "layers": 4, "batch": 8, "length": 128}
_TEXT = {
    "assets": "{assets}",
    "vocab": "{assets}/data/vocab/uncased_30522/vocab.txt",
    "megabytes": 16.0,
    # Small pieces, so that every thread has some of the smallest corpus.
    "piece_bytes": 500_000,
}


def _match(name: str, target: str, work: dict[str, object], cases: Sequence[str]) -> Match:
    side = Side("ours", "ours", f"ours_growth:{target}")
    return Match(name, "runs/s", (side,), work, cases=tuple(cases))


def _encoder(axis: str, sizes: Sequence[int]) -> Match:
    cases = [f"{kind} {size}" for kind in ("forward", "training") for size in sizes]
    return _match(axis, "Encoder", {**_ENCODER, "axis": axis}, cases)


def _matches(options: Options) -> tuple[Match, ...]:
    cores = len(os.sched_getaffinity(0))
    threads = [count for count in (1, 2, 4, 8, 16, 32) if count <= cores]
    return (
        _encoder("length", (16, 32, 64, 128, 192, 256, 384, 512)),
        _encoder("batch", (1, 2, 4, 8, 16, 32, 64)),
        _encoder("layers", (1, 2, 4, 8, 12)),
        _match("corpus", "Prepare", _TEXT, [f"corpus {size}" for size in (1, 2, 4, 8, 16, 32)]),
        _match("workers", "Prepare", _TEXT, [f"threads {count}" for count in threads]),
        _match("text", "Tokenization", _TEXT, [f"text {size}" for size in (0.25, 0.5, 1, 2, 4, 8)]),
    )


SUITE = Suite(
    name="growth",
    title="ours against length, batch, layers (BERT-small, 8 × 128), corpus, threads and text",
    matches=_matches,
    needs_assets=True,
    finish=growth_plots.draw,
)
