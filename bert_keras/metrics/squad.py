"""Exact match and F1 of SQuAD 1.1 and 2.0, in percent, as the official scripts count them.

Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250, and Rajpurkar, Jia and Liang 2018,
https://arxiv.org/abs/1806.03822. The numbers are equal to the last digit to those of
evaluate-v1.1.py and evaluate-v2.0.py; sums run over Python's floats in the same order.
"""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)

Score = Callable[[str, str], float]


def normalize_answer(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and superfluous spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(prediction: str, gold: str) -> float:
    """1 if both are the same after `normalize_answer`, else 0."""
    return float(normalize_answer(prediction) == normalize_answer(gold))


def word_f1(prediction: str, gold: str) -> float:
    """The harmonic mean of the precision and the recall of the words; 0 if either has none."""
    predicted, expected = normalize_answer(prediction).split(), normalize_answer(gold).split()
    common = collections.Counter(predicted) & collections.Counter(expected)
    same = sum(common.values())
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(expected)
    return (2 * precision * recall) / (precision + recall)


def answerable_metrics(
    predictions: Sequence[str], golds: Sequence[Sequence[str]]
) -> dict[str, float]:
    """`exact_match` and `f1` of SQuAD 1.1.

    Args:
        predictions: N answers.
        golds: for each the right answers, one or more; the best counts.
    """
    return {
        "exact_match": _mean([_best(exact_match, *pair) for pair in _pairs(predictions, golds)]),
        "f1": _mean([_best(word_f1, *pair) for pair in _pairs(predictions, golds)]),
    }


def metrics_with_impossible(
    predictions: Sequence[str],
    golds: Sequence[Sequence[str]],
    best_predictions: Sequence[str],
    null_scores: Sequence[float],
) -> dict[str, float]:
    """`exact_match` and `f1` of SQuAD 2.0, of all questions and of those with and without answer.

    Beside them are what the official script finds when it has the null scores: `best_exact` and
    `best_f1`, with the thresholds that give them.

    Args:
        predictions: N answers, "" for none.
        golds: for each the right answers, no answers for an impossible question.
        best_predictions: N answers, of which those are taken back whose null score is above a
            threshold.
        null_scores: how likely it is that there is no answer, N numbers on any scale.
    """
    metrics = {}
    exact, f1 = raw_scores(predictions, golds)
    groups = {
        "": range(len(golds)),
        "HasAns_": [index for index, gold in enumerate(golds) if gold],
        "NoAns_": [index for index, gold in enumerate(golds) if not gold],
    }
    for prefix, group in groups.items():
        if group:
            name = f"{prefix}exact" if prefix else "exact_match"
            metrics[name] = _mean([exact[index] for index in group])
            metrics[f"{prefix}f1"] = _mean([f1[index] for index in group])
    for name, scores in zip(("exact", "f1"), raw_scores(best_predictions, golds), strict=True):
        best, threshold = best_threshold(best_predictions, scores, null_scores, golds)
        metrics[f"best_{name}"], metrics[f"best_{name}_thresh"] = best, threshold
    return metrics


def raw_scores(
    predictions: Sequence[str], golds: Sequence[Sequence[str]]
) -> tuple[list[float], list[float]]:
    """Exact match and F1 of each question by the rules of SQuAD 2.0, between 0 and 1.

    Right answers without words do not count; where none is left, only no answer is right.
    """
    exact, f1 = [], []
    for prediction, gold in _pairs(predictions, golds):
        named = [answer for answer in gold if normalize_answer(answer)] or [""]
        exact.append(_best(exact_match, prediction, named))
        f1.append(_best(_f1_or_none, prediction, named))
    return exact, f1


def best_threshold(
    predictions: Sequence[str],
    scores: Sequence[float],
    null_scores: Sequence[float],
    golds: Sequence[Sequence[str]],
) -> tuple[float, float]:
    """The best mean score, in percent, when answers above a null score are taken back.

    Returns it with that null score, the highest that is still answered; 0 where it is best to
    answer nothing, which no null score says.

    Args:
        predictions: N answers.
        scores: their scores, as `raw_scores` gives them.
        null_scores: N numbers on any scale.
        golds: the right answers, none for an impossible question.
    """
    current: float = sum(1 for gold in golds if not gold)
    best, threshold = current, 0.0
    for index in sorted(range(len(golds)), key=lambda index: null_scores[index]):
        if golds[index]:
            current += scores[index]
        elif predictions[index]:
            current -= 1
        if current > best:
            best, threshold = current, null_scores[index]
    return 100.0 * best / len(scores), threshold


def tuned_threshold(
    predictions: Sequence[str], null_scores: Sequence[float], golds: Sequence[Sequence[str]]
) -> float:
    """The null score above which to take an answer back for the best F1; see `best_threshold`.

    Below all null scores, if it is best to answer nothing.
    """
    best, threshold = best_threshold(
        predictions, raw_scores(predictions, golds)[1], null_scores, golds
    )
    nothing = sum(1 for gold in golds if not gold)
    return threshold if best > 100.0 * nothing / len(golds) else min(null_scores) - 1.0


def _f1_or_none(prediction: str, gold: str) -> float:
    """As `word_f1`, but two answers without words agree."""
    if not normalize_answer(prediction) or not normalize_answer(gold):
        return exact_match(prediction, gold)
    return word_f1(prediction, gold)


def _pairs(
    predictions: Sequence[str], golds: Sequence[Sequence[str]]
) -> list[tuple[str, Sequence[str]]]:
    return list(zip(predictions, golds, strict=True))


def _best(score: Score, prediction: str, golds: Sequence[str]) -> float:
    return max(score(prediction, gold) for gold in golds)


def _mean(scores: Sequence[float]) -> float:
    """In percent."""
    return 100.0 * sum(scores) / len(scores) if scores else 0.0
