"""The answers of a tagger: words with their tags, and the entities that these make."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bert_keras.data.text_words import PlacedWords
from bert_keras.metrics.tag_schemes import NO_SCHEME, spans_of


@dataclasses.dataclass(frozen=True)
class Entity:
    """An entity: its type, its text, where this stands in the whole text (in characters, the
    end exclusive), and the mean probability of its words' tags."""

    type: str
    text: str
    start: int
    end: int
    score: float


@dataclasses.dataclass(frozen=True)
class Tagging:
    """The answer for one sentence: for each word its tag, the tag's probability and where the
    word stands in the text (in characters, the end exclusive); and the entities.

    The text of a list of words is these, joined by spaces; see `place_words`.
    """

    words: list[str]
    tags: list[str]
    scores: list[float]
    starts: list[int]
    ends: list[int]
    entities: list[Entity]


def tagging_of(
    placed: PlacedWords, tags: Sequence[str], scores: Sequence[float], scheme: str
) -> Tagging:
    """The answer for a sentence, given the tag of each word and its probability."""
    found = []
    for kind, begin, end in spans_of(tags) if scheme != NO_SCHEME else []:
        start, stop = placed.starts[begin], placed.ends[end - 1]
        score = sum(scores[begin:end]) / (end - begin)
        found.append(Entity(kind, placed.text[start:stop], start, stop, score))
    return Tagging(placed.words, list(tags), list(scores), placed.starts, placed.ends, found)
