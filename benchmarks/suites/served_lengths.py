"""What a served batch of mixed lengths costs, against its short and its long texts apart."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Side, Suite
from benchmarks.suites.inference import MINILM

_SHORT, _LONG = [8] * 7, [128]
_REQUESTS = {
    "apart, one after the other": [_SHORT, _LONG],
    "in one batch": [_SHORT + _LONG],
    "in one batch, all as long": [[128] * 8],
}


def _match(precision: str) -> Match:
    # Those apart first: "ours is ×" of the mixed batch is then what it costs more.
    sides = tuple(
        Side(f"ours, {name}", "ours", "ours_served_lengths:ServedLengths", {"requests": requests})
        for name, requests in _REQUESTS.items()
    )
    work = {"weights": "{folder}/minilm", "precision": precision, "repetitions": 20}
    return Match(
        precision, "batches of 7 × 8 + 1 × 128 tokens/s", sides, work, preparations=(MINILM,)
    )


def _matches(options: Options) -> tuple[Match, ...]:
    return _match("float32"), _match("bfloat16")


SUITE = Suite(
    name="served_lengths",
    title="a servable of all-MiniLM-L6-v2 on batches of mixed lengths",
    matches=_matches,
    needs_assets=True,
)
