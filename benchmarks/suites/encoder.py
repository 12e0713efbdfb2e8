"""BERT-base forward and a training step, beside the limit of its matrix products."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Preparation, Side, Suite

_WORK = {
    "weights": "{folder}/classifier",
    "layers": 12,
    "hidden": 768,
    "batch": 8,
    "length": 128,
}


def _side(name: str, family: str, match: str, usual: bool = True, **options: object) -> Side:
    return Side(name, family, f"{family}_encoder:{match}", options, usual)


def _limit(name: str) -> Side:
    return Side(name, "limit", "limit:Products")


_FORWARD = (
    _limit("limit: matrix products"),
    _side("ours", "ours", "Forward"),
    _side("PyTorch", "pytorch", "Forward", compile=True),
    _side("PyTorch, eager", "pytorch", "Forward", usual=False),
    _side("KerasHub", "kerashub", "Forward"),
    _side("KerasHub, XLA", "kerashub", "Forward", usual=False, jit_compile=True),
    _side("Model Garden", "model_garden", "Forward"),
    _side("Model Garden, XLA", "model_garden", "Forward", usual=False, jit_compile=True),
)

_TRAINING = (
    _limit("limit: matrix products"),
    _side("ours", "ours", "Training"),
    _side("PyTorch", "pytorch", "Training", precision="autocast", compile=True),
    _side("PyTorch, eager", "pytorch", "Training", usual=False, precision="autocast"),
    _side(
        "PyTorch, bfloat16 weights",
        "pytorch",
        "Training",
        usual=False,
        precision="bfloat16",
        compile=True,
    ),
    _side("KerasHub", "kerashub", "Training"),
    _side("KerasHub, XLA", "kerashub", "Training", usual=False, jit_compile=True),
    _side("Model Garden", "model_garden", "Training"),
    _side("Model Garden, XLA", "model_garden", "Training", usual=False, jit_compile=True),
)


_PREPARATIONS = (
    Preparation("weights:random_bert", options={"name": "random", "layers": 12, "hidden": 768}),
    Preparation("weights:classifier", options={"name": "classifier", "source": "{folder}/random"}),
)


def _match(name: str, sides: tuple[Side, ...], training: bool) -> Match:
    return Match(
        name,
        "GFLOP/s",
        sides,
        {**_WORK, "training": training},
        preparations=_PREPARATIONS,
        # Products in bfloat16 end up within some hundredths of each other after twelve layers.
        agreement=("difference", 0.1),
    )


def _matches(options: Options) -> tuple[Match, ...]:
    return (_match("forward", _FORWARD, False), _match("training", _TRAINING, True))


SUITE = Suite(
    name="encoder",
    title="BERT-base, batch 8 × 128 tokens, bfloat16, random weights",
    matches=_matches,
)
