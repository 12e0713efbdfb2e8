"""What a token costs in batches of mixed lengths, against batches of one length."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Side, Suite
from benchmarks.suites.inference import MINILM

_WORK = {
    "weights": "{folder}/minilm",
    "assets": "{assets}",
    "examples": 2048,
    "batch": 64,
}


def _matches(options: Options) -> tuple[Match, ...]:
    # The equal ones first: "ours is ×" of the mixed ones is then what their tokens cost more.
    sides = tuple(
        Side(f"ours, {lengths} lengths", "ours", "ours_padding:Padding", {"lengths": lengths})
        for lengths in ("equal", "mixed")
    )
    return (Match("sst2", "real tokens/s", sides, _WORK, preparations=(MINILM,)),)


SUITE = Suite(
    name="padding",
    title="forward passes of all-MiniLM-L6-v2, SST-2 in the file's order against equal lengths",
    matches=_matches,
    needs_assets=True,
)
