"""Strings to labels with all-MiniLM-L6-v2 on sentences of SST-2."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Preparation, Side, Suite

_WORK = {
    "weights": "{folder}/minilm",
    "assets": "{assets}",
    "examples": 8000,
    # Every 16th sentence is compared; a slow side is timed on these alone.
    "every": 16,
    "max_length": 128,
}


def _side(name: str, family: str, usual: bool = True, **options: object) -> Side:
    # Quantized weights are another model; all others differ by rounding alone.
    exact = options.get("precision") != "int8"
    return Side(name, family, f"{family}_inference:Inference", options, usual, exact)


_SIDES = (
    _side("ours", "ours"),
    _side("PyTorch", "pytorch", batch=64),
    _side("PyTorch, batches of 32", "pytorch", usual=False, batch=32),
    _side("PyTorch, batches of 128", "pytorch", usual=False, batch=128),
    _side("PyTorch, torch.compile", "pytorch", usual=False, batch=64, compile=True),
    _side("ONNX Runtime float32", "onnx", batch=64, precision="float32"),
    _side("ONNX Runtime int8", "onnx", batch=64, precision="int8"),
    _side("ONNX Runtime int8, batches of 16", "onnx", usual=False, batch=16, precision="int8"),
    _side("KerasHub", "kerashub", batch=64),
    _side("KerasHub, XLA", "kerashub", usual=False, batch=64, jit_compile=True),
)


MINILM = Preparation(
    "weights:classifier",
    options={"name": "minilm", "source": "{assets}/weights/all-MiniLM-L6-v2"},
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
            agreement=("labels", 0.98),
        ),
    )


SUITE = Suite(
    name="inference",
    title="strings to labels, 8,000 sentences of SST-2, all-MiniLM-L6-v2 with a random head",
    matches=_matches,
    needs_assets=True,
)
