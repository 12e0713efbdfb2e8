"""Precision, recall and F1 of whole entities, as conlleval and seqeval count them.

An entity is right when its type, its first and its last word are. References: Tjong Kim Sang and
De Meulder 2003 (conlleval); seqeval 1.2, whose default mode is `spans_of` and whose strict mode
is `strict_spans`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bert_keras.metrics.tag_schemes import OUTSIDE, Span, split_tag


class _Rules(NamedTuple):
    """Neighbours' prefixes (`*` is any) where an entity begins, goes on and ends: with `=` if
    the types must be equal, with `!` if they must differ."""

    begins: str
    continues: str
    ends: str


_STRICT = {
    "IOB1": _Rules("OI II! BI IB= BB=", "BI= II=", "IO BO IB BB= II! BI!"),
    "IOB2": _Rules("*B", "BI= II=", "IO BO IB BB II! BI!"),
    "IOBES": _Rules("*B *S", "BI= II= BE= IE=", "E* S*"),
}

Tag = tuple[str, str]


def _fits(rules: str, before: Tag, tag: Tag) -> bool:
    same = "=" if before[1] == tag[1] else "!"
    return any(
        rule[0] in ("*", before[0]) and rule[1] in ("*", tag[0]) and rule[2:] in ("", same)
        for rule in rules.split()
    )


def strict_spans(tags: Sequence[str], scheme: str) -> list[Span]:
    """The entities of a sentence that obey a scheme; what does not is no entity.

    Args:
        tags: of the sentence's words.
        scheme: IOB1, IOB2 or IOBES.
    """
    rules, outside = _STRICT[scheme], (OUTSIDE, "")
    parts = [*map(split_tag, tags), outside]
    spans, place, before = [], 0, outside
    while place < len(parts):
        end = place + 1
        if _fits(rules.begins, before, parts[place]):
            while _fits(rules.continues, parts[end - 1], parts[end]):
                end += 1
            if _fits(rules.ends, parts[end - 1], parts[end]):
                spans.append((parts[place][1], place, end))
        place, before = end, parts[end - 1]
    return spans


@dataclasses.dataclass(frozen=True)
class Score:
    """Precision, recall and F1, 0 where undefined, and the number of gold entities."""

    precision: float
    recall: float
    f1: float
    support: int

    @classmethod
    def of(cls, right: int, predicted: int, gold: int) -> Score:
        """From the number of right, of predicted and of gold entities."""
        precision = right / predicted if predicted else 0.0
        recall = right / gold if gold else 0.0
        total = precision + recall
        return cls(precision, recall, 2 * precision * recall / total if total else 0.0, gold)


@dataclasses.dataclass(frozen=True)
class EntityScores:
    """Scores over all entities (`micro`), by type, and the mean of the types (`macro`)."""

    micro: Score
    macro: Score
    per_type: dict[str, Score]


def entity_scores(
    gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]]
) -> EntityScores:
    """Scores of the predicted entities of N sentences against the gold ones."""
    right, found, there = Counter[str](), Counter[str](), Counter[str]()
    for own, answer in zip(gold, predicted, strict=True):
        own, answer = set(own), set(answer)
        right.update(kind for kind, *_ in own & answer)
        found.update(kind for kind, *_ in answer)
        there.update(kind for kind, *_ in own)
    per_type = {
        kind: Score.of(right[kind], found[kind], there[kind]) for kind in sorted(found | there)
    }
    scores, types = per_type.values(), max(1, len(per_type))
    macro = Score(
        sum(score.precision for score in scores) / types,
        sum(score.recall for score in scores) / types,
        sum(score.f1 for score in scores) / types,
        there.total(),
    )
    return EntityScores(Score.of(right.total(), found.total(), there.total()), macro, per_type)


def token_accuracy(gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> float:
    """Share of words whose tag is right, over all sentences; 0 for no words."""
    right = words = 0
    for own, answer in zip(gold, predicted, strict=True):
        words += len(own)
        right += sum(a == b for a, b in zip(own, answer, strict=True))
    return right / words if words else 0.0


def word_spans(tags: Sequence[str]) -> list[Span]:
    """Every word as an entity of its own whose type is its tag: scores of plain tags."""
    return [(tag, place, place + 1) for place, tag in enumerate(tags)]
