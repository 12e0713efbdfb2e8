"""Sentences of SST-2 to labels over gRPC: ours beside peers behind a server of the same kind."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Side, Suite
from benchmarks.suites.inference import MINILM

_LOADS = {
    "one_client": {"clients": 1, "sentences": 1, "examples": 500},
    "clients": {"clients": 64, "sentences": 1, "examples": 3000},
    "batches": {"clients": 4, "sentences": 32, "examples": 3200},
}
_PEERS = {
    "PyTorch": ("pytorch", "bfloat16"),
    "ONNX Runtime float32": ("onnx", "float32"),
    "ONNX Runtime int8": ("onnx", "int8"),
}


def _ours(precision: str, batching: bool) -> Side:
    name = f"ours, {precision}" + ", calls share runs" * batching
    options = {"precision": precision, "batching": batching}
    return Side(name, "ours", "ours_serving:Serving", options)


def _peer(name: str, workers: int, threads: int, usual: bool) -> Side:
    family, precision = _PEERS[name]
    options = {
        "inference": f"{family}_inference:Inference",
        "precision": precision,
        "workers": workers,
        "server_threads": threads,
    }
    shown = name if usual else f"{name}, {workers} × {threads} threads"
    target = "peer_serving:Serving"
    return Side(shown, family, target, options, usual, exact=precision != "int8")


def _match(name: str) -> Match:
    ours = tuple(
        _ours(precision, batching)
        for batching in ((False, True) if name == "clients" else (False,))
        for precision in ("bfloat16", "float32")
    )
    # One call alone is fastest on all cores, many at once with a core each.
    alone = name == "one_client"
    peers = tuple(
        _peer(peer, workers, threads, usual=(workers == 1) == alone)
        for workers, threads in ((1, 2), (2, 1))
        for peer in _PEERS
    )
    work = {
        "weights": "{folder}/minilm",
        "assets": "{assets}",
        "every": 16,
        "max_length": 128,
        **_LOADS[name],
    }
    return Match(
        name,
        "sentences/s",
        (*ours, *peers),
        work,
        warm_ups=1,
        preparations=(MINILM,),
        agreement=("labels", 0.98),
    )


def _matches(options: Options) -> tuple[Match, ...]:
    return tuple(map(_match, _LOADS))


SUITE = Suite(
    name="serving",
    title="SST-2 over gRPC, all-MiniLM-L6-v2: one client; 64 clients; 4 clients with 32 sentences",
    matches=_matches,
    needs_assets=True,
)
