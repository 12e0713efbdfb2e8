"""Entity scores equal seqeval's, and conlleval's on its edge cases."""

from __future__ import annotations

import random
import warnings

import pytest

from bert_keras.metrics import entities
from bert_keras.metrics.tag_schemes import spans_of

PREFIXES = {"IOB1": "IB", "IOB2": "IB", "IOBES": "IBES"}
NAMES = ("precision", "recall", "f1", "support")


def _random_tags(scheme: str, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """1,000 sequences of any tags, obeying the scheme or not, and half-right answers."""
    chance = random.Random(seed)
    kinds = ("X", "creative-work", "Z")
    labels = ["O", "O", *(f"{prefix}-{kind}" for prefix in PREFIXES[scheme] for kind in kinds)]
    gold = [[chance.choice(labels) for _ in range(chance.randrange(1, 12))] for _ in range(1000)]
    found = [[chance.choice([tag, tag, chance.choice(labels)]) for tag in tags] for tags in gold]
    return gold, found


def _numbers(score: entities.Score) -> list[float]:
    return [getattr(score, name) for name in NAMES]


def _assert_equal(scores: entities.EntityScores, theirs) -> None:
    assert _numbers(scores.micro) == pytest.approx(theirs("micro"), abs=1e-12)
    assert _numbers(scores.macro) == pytest.approx(theirs("macro"), abs=1e-12)
    columns = zip(*theirs(None), strict=True)
    for score, numbers in zip(scores.per_type.values(), columns, strict=True):
        assert _numbers(score) == pytest.approx(numbers, abs=1e-12)


@pytest.mark.parametrize("scheme", PREFIXES)
def test_scores_are_seqevals(scheme):
    from seqeval import scheme as seqeval_schemes
    from seqeval.metrics import accuracy_score
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
    from seqeval.metrics.v1 import precision_recall_fscore_support as strict_scores

    warnings.simplefilter("ignore")
    gold, found = _random_tags(scheme, seed=3)
    _assert_equal(
        entities.entity_scores(map(spans_of, gold), map(spans_of, found)),
        lambda average: precision_recall_fscore_support(gold, found, average=average),
    )
    assert entities.token_accuracy(gold, found) == accuracy_score(gold, found)
    kind = getattr(seqeval_schemes, scheme)
    gold_spans, found_spans = (
        [entities.strict_spans(tags, scheme) for tags in sentences] for sentences in (gold, found)
    )
    _assert_equal(
        entities.entity_scores(gold_spans, found_spans),
        lambda average: strict_scores(gold, found, average=average, scheme=kind),
    )


@pytest.mark.parametrize(
    ("gold", "found", "right", "numbers"),
    [
        # An I- without its beginning begins an entity; a change of type ends one.
        ("B-X I-X O I-Y", "I-X I-X O B-Y", 2, (1.0, 1.0)),
        ("B-X I-Y I-Y", "B-X B-Y I-Y", 2, (1.0, 1.0)),
        # The same words in two pieces are no entity found, but two.
        ("B-X I-X", "B-X B-X", 0, (0.0, 0.0)),
        ("O O", "O B-X", 0, (0.0, 0.0)),
        ("O O", "O O", 0, (0.0, 0.0)),
        ("B-X O B-X", "B-X O O", 1, (1.0, 0.5)),
    ],
)
def test_edge_cases_are_conllevals(gold, found, right, numbers):
    own, answer = gold.split(), found.split()
    assert len({*spans_of(own)} & {*spans_of(answer)}) == right
    micro = entities.entity_scores([spans_of(own)], [spans_of(answer)]).micro
    assert (micro.precision, micro.recall) == numbers


def test_no_sentences_and_plain_tags():
    assert entities.entity_scores([], []).micro == entities.Score(0.0, 0.0, 0.0, 0)
    assert entities.token_accuracy([], []) == 0.0
    scores = entities.entity_scores([entities.word_spans(["NN", "VB"])], [[("NN", 0, 1)]])
    assert scores.per_type["VB"].support == 1 and scores.per_type["NN"].f1 == 1.0
