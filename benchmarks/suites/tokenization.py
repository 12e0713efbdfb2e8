"""Tokenization on one core, beside Hugging Face tokenizers."""

from __future__ import annotations

from benchmarks.suite import Match, Options, Side, Suite


def _match(name: str, target: str, unit: str, text: str, megabytes: float) -> Match:
    return Match(
        name,
        unit,
        (
            Side("ours", "ours", f"ours_tokenization:{target}"),
            Side("Hugging Face tokenizers", "tokenizers", f"tokenizers_tokenization:{target}"),
        ),
        {"assets": "{assets}", "text": text, "megabytes": megabytes},
        cases=("ids", "offsets"),
        threads=1,
        agreement=("labels", 1.0),
    )


def _matches(options: Options) -> tuple[Match, ...]:
    return (
        _match("books", "Tokenization", "MB/s", "books", 4.0),
        _match("squad", "Tokenization", "MB/s", "squad", 4.0),
        _match("chinese", "Tokenization", "MB/s", "chinese", 4.0),
        _match("call", "Call", "calls/s", "books", 0.01),
    )


SUITE = Suite(
    name="tokenization",
    title="strings to ids, and to ids with offsets, on one core",
    matches=_matches,
    needs_assets=True,
)
