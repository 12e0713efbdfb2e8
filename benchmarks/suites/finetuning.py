"""Fine-tuning all-MiniLM-L6-v2 on sentences of SST-2."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Side, Suite
from benchmarks.suites.inference import MINILM

_WORK = {
    "weights": "{folder}/minilm",
    "assets": "{assets}",
    "batch": 32,
    "examples": 64 * 32,
    "max_length": 128,
}


def _side(name: str, family: str, usual: bool = True, **options: object) -> Side:
    return Side(name, family, f"{family}_finetuning:Finetuning", options, usual)


# What the first, with which the others are compared, makes batches by.
_BATCHING = {"batching": "padded", "batch_size": 32}

_SIDES = (
    _side("ours", "ours", batching=_BATCHING),
    _side("ours, packed", "ours", usual=False, batching={"batching": "packed", "batch_size": 32}),
    _side(
        "ours, token budget",
        "ours",
        usual=False,
        batching={"batching": "padded", "batch_size": None, "batch_tokens": 480},
    ),
    _side("PyTorch", "pytorch"),
    _side("PyTorch, torch.compile", "pytorch", usual=False, compile=True),
    _side("KerasHub", "kerashub", fewer=256),
    _side("KerasHub, XLA", "kerashub", usual=False, fewer=256, jit_compile=True),
)


def _matches(options: Options) -> tuple[Match, ...]:
    return (
        Match(
            "sst2",
            "examples/s",
            _SIDES,
            _WORK,
            warm_ups=1,
            preparations=(MINILM,),
            agreement=("difference", 0.1),
        ),
    )


SUITE = Suite(
    name="finetuning",
    title="all-MiniLM-L6-v2 on SST-2, 32 examples an update, bfloat16",
    matches=_matches,
    needs_assets=True,
)
