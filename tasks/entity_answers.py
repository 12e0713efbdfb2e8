"""The answers of a tagger: words with their tags, and the entities that these make."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bert_keras.data.text_words import PlacedWords
from bert_keras.metrics.tag_schemes import NO_SCHEME, spans_of, standard_tags


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
    placed: PlacedWords,
    tags: Sequence[str],
    scores: Sequence[float],
    scheme: str,
    standard: Sequence[str] | None = None,
) -> Tagging:
    """Returns the answer for a sentence.

    Args:
        placed: its words.
        tags: the tag of each.
        scores: the tags' probabilities.
        scheme: of the tags; entities are found unless it is "none".
        standard: the tags as `metrics.tag_schemes` writes them, by default found from the tags.
    """
    spans = []
    if scheme != NO_SCHEME:
        spans = spans_of(standard_tags([tags])[0] if standard is None else standard)
    found = []
    for kind, begin, end in spans:
        start, stop = placed.starts[begin], placed.ends[end - 1]
        score = sum(scores[begin:end]) / (end - begin)
        found.append(Entity(kind, placed.text[start:stop], start, stop, score))
    return Tagging(placed.words, list(tags), list(scores), placed.starts, placed.ends, found)
