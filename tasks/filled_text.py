"""FilledText: what a masked language model answers about a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

MASK = "[MASK]"


@dataclasses.dataclass(frozen=True)
class Fill:
    """One token for one [MASK]: its probability, and the text with this mask filled by it."""

    token: str
    score: float
    text: str


@dataclasses.dataclass(frozen=True)
class FilledText:
    """The answer for one input: the text with the likeliest token at every [MASK], and for each
    [MASK] in its order the likeliest tokens, best first."""

    filled: str
    masks: list[list[Fill]]


def filled_text(
    text: str, tokens: Sequence[Sequence[str]], scores: Sequence[Sequence[float]]
) -> FilledText:
    """The answer made of the tokens for each mask, best first, and their probabilities."""
    masks = [
        [
            Fill(token, float(score), fill(text, {place: token}))
            for token, score in zip(row, row_scores, strict=True)
        ]
        for place, (row, row_scores) in enumerate(zip(tokens, scores, strict=True))
    ]
    return FilledText(fill(text, {place: row[0] for place, row in enumerate(tokens)}), masks)


def fill(text: str, tokens: Mapping[int, str]) -> str:
    """A text with tokens in place of some of its masks, which are numbered from 0.

    A piece that goes on with a word, such as `##ing`, joins what stands before it.
    """
    filled, *parts = text.split(MASK)
    for place, part in enumerate(parts):
        token = tokens.get(place, MASK)
        if token.startswith("##") and filled:
            filled, token = filled.rstrip(), token[2:]
        filled += token + part
    return filled
