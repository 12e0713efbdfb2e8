"""Made-up answers, right ones and predictions, for every corner of SQuAD's metrics."""

from __future__ import annotations

import random
from typing import NamedTuple

COUNT = 300
# What the official scripts print of SQuAD 2.0, in the order of the golden numbers.
NAMES_OF_2 = (
    "exact f1 HasAns_exact HasAns_f1 NoAns_exact NoAns_f1 "
    "best_exact best_exact_thresh best_f1 best_f1_thresh"
).split()

_WORDS = (
    "the The a an An THE cat cats Straße STRASSE İstanbul ﬁne fine the-end U.S. US «no» “smart” "
    "— 東京 Ω ω é e\u0301 an. a-n $1,000 1000 ... ' anthem 1st ＡＢＣ abc I i"
).split()
_BETWEEN = (" ", " ", " ", "  ", "\t", "\u00a0", "\u3000", "\n", "", ", ")


class Case(NamedTuple):
    """Predictions, right answers and null scores of a few questions."""

    predictions: list[str]
    golds: list[list[str]]
    null_scores: list[float]


def cases(with_impossible: bool) -> list[Case]:
    """The cases, the same at every call; questions without answers only where they may be."""
    chance = random.Random(2018 if with_impossible else 2016)
    return [_case(chance, with_impossible) for _ in range(COUNT)]


def _case(chance: random.Random, with_impossible: bool) -> Case:
    predictions, golds, null_scores = [], [], []
    for _ in range(chance.randrange(1, 9)):
        none = with_impossible and chance.random() < 0.4
        gold = [] if none else [_text(chance) for _ in range(chance.randrange(1, 4))]
        prediction = _text(chance)
        if gold and chance.random() < 0.5:
            prediction = chance.choice(gold) + chance.choice(["", " the", " cat", ".", "A "])
        predictions.append("" if chance.random() < 0.2 else prediction)
        golds.append(gold)
        # Few values, so that some are equal.
        null_scores.append(chance.randrange(-4, 5) / 2)
    return Case(predictions, golds, null_scores)


def _text(chance: random.Random) -> str:
    parts = [chance.choice(_WORDS) + chance.choice(_BETWEEN) for _ in range(chance.randrange(5))]
    return "".join(parts)
