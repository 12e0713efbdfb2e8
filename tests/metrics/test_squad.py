"""SQuAD's metrics equal the official scripts' to the last digit."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from bert_keras.metrics import squad
from tests.golden import squad_cases

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "squad.npz")


def test_metrics_of_1_1_equal_the_official_script() -> None:
    for case, want in zip(squad_cases.cases(False), GOLDEN["v1"], strict=True):
        got = squad.answerable_metrics(case.predictions, case.golds)
        assert list(got) == ["exact_match", "f1"]
        assert list(got.values()) == want.tolist(), case


def test_metrics_of_2_0_equal_the_official_script() -> None:
    names = ["exact_match", *squad_cases.NAMES_OF_2[1:]]
    for case, want in zip(squad_cases.cases(True), GOLDEN["v2"], strict=True):
        got = squad.metrics_with_impossible(
            case.predictions, case.golds, case.predictions, case.null_scores
        )
        there = {name: value for name, value in zip(names, want, strict=True) if value == value}
        assert got == there, case


@pytest.mark.parametrize(
    ("text", "normal"),
    [("The U.S.  Navy!", "us navy"), ("a-n", ""), ("anthem", "anthem"), ("«A»", "« »"), ("", "")],
)
def test_normalized_answers(text: str, normal: str) -> None:
    assert squad.normalize_answer(text) == normal


def test_the_tuned_threshold_gives_the_best_f1() -> None:
    for case in squad_cases.cases(True):
        answers, golds = ["x" + answer for answer in case.predictions], case.golds
        threshold = squad.tuned_threshold(answers, case.null_scores, golds)
        given = [
            "" if null > threshold else answer
            for answer, null in zip(answers, case.null_scores, strict=True)
        ]
        metrics = squad.metrics_with_impossible(given, golds, answers, case.null_scores)
        # Of equal null scores the official search counts some and not the others; of answers
        # without words it does not know that to take them back is right.
        if len(set(case.null_scores)) == len(golds):
            assert metrics["f1"] >= metrics["best_f1"] - 1e-9


def test_no_questions_have_no_score() -> None:
    assert squad.answerable_metrics([], []) == {"exact_match": 0.0, "f1": 0.0}
