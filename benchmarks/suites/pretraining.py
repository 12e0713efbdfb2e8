"""A pretraining step of three sizes of BERT, and what real lengths cost."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Preparation, Side, Suite

# Layers, width, and rows of 128 tokens in a batch.
_SIZES = {"mini": (4, 256, 32), "small": (4, 512, 32), "base": (12, 768, 8)}


def _side(name: str, family: str, usual: bool = True, **options: object) -> Side:
    return Side(name, family, f"{family}_pretraining:Pretraining", options, usual)


_SIDES = (
    _side("ours", "ours"),
    _side("PyTorch", "pytorch", compile=True),
    _side("PyTorch, eager", "pytorch", usual=False),
    _side("PyTorch, head on masked positions", "pytorch", gathered=True, compile=True),
    _side("PyTorch, head on masked positions, eager", "pytorch", usual=False, gathered=True),
    _side("KerasHub (masked words alone)", "kerashub"),
    _side("KerasHub (masked words alone), XLA", "kerashub", usual=False, jit_compile=True),
    _side("Model Garden", "model_garden"),
    _side("Model Garden, XLA", "model_garden", usual=False, jit_compile=True),
)


def _work(size: str, length: int, rows: str) -> dict[str, object]:
    batch = _SIZES[size][2] * 128 // length
    return {
        "weights": f"{{folder}}/{size}",
        "rows": f"{{folder}}/{rows}{length}.npz",
        "batch": batch,
    }


def _preparations(size: str, length: int) -> tuple[Preparation, ...]:
    layers, hidden, _ = _SIZES[size]
    return (
        Preparation(
            "weights:random_bert", options={"name": size, "layers": layers, "hidden": hidden}
        ),
        Preparation("books:write_rows", options={"length": length}),
    )


def _steps(size: str, length: int) -> Match:
    """Every side on full rows."""
    return Match(
        size,
        "tokens/s",
        _SIDES,
        _work(size, length, "full"),
        preparations=_preparations(size, length),
        # Of losses near 10.3, the logarithm of the vocabulary's size.
        agreement=("difference", 0.05),
    )


def _lengths(length: int) -> Match:
    """Ours on rows with their real lengths, beside full ones; padding is not counted."""
    kinds = {
        "ours, full rows": "full",
        "ours, sentence pairs as they come": "pairs",
        "ours, packed rows": "packed",
    }
    sides = tuple(
        _side(name, "ours", rows=f"{{folder}}/{rows}{length}.npz") for name, rows in kinds.items()
    )
    work = _work("small", length, "full")
    return Match(
        "lengths", "real tokens/s", sides, work, preparations=_preparations("small", length)
    )


def _suite(name: str, length: int) -> Suite:
    def matches(options: Options) -> tuple[Match, ...]:
        return (*(_steps(size, length) for size in _SIZES), _lengths(length))

    return Suite(
        name=name,
        title=f"a step for masked words and next sentences, full rows of {length} tokens of books, "
        "bfloat16, random weights",
        matches=matches,
        needs_assets=True,
    )


SUITES = (_suite("pretraining", 128), _suite("pretraining512", 512))
