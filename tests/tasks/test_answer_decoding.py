"""The n best answers against a plain reading of how they are chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.question_windows import QuestionWindows, window_questions
from bert_keras.tasks.answer_decoding import QuestionAnswer, best_answers
from tests import small

CONTEXT = "the  film was good, and the plot was great; it was a  film and a plot and it is not bad"
TOKENIZER = small.tokenizer()
WINDOWS = window_questions(TOKENIZER, ["is it?"], [CONTEXT], 16, 5, 3)


def _logits(values: list[int]) -> list[np.ndarray]:
    """Logits of `WINDOWS`, few of them different, so that some are equal."""
    lengths = WINDOWS.inputs.lengths
    flat = np.resize(np.array(values, np.float32), (lengths.sum(), 2))
    return np.split(flat, np.cumsum(lengths)[:-1])


def _plain(
    windows: QuestionWindows, logits: list[np.ndarray], n_best: int, longest: int, with_null: bool
) -> dict[str, float]:
    """The texts with their logits, best first."""
    spans = []
    for row, own in enumerate(logits):
        best = windows.max_context(np.array([row]), len(own))[0]
        offset = int(windows.offsets[row])
        starts, ends = (
            sorted(range(len(own)), key=lambda place: -own[place, side])[:n_best] for side in (0, 1)
        )
        for first in starts:
            for last in ends:
                inside = last < offset + windows.sizes[row]
                if best[first] and inside and 0 <= last - first < longest:
                    shift = int(windows.first[row]) - offset
                    start = windows.contexts.starts[first + shift]
                    text = CONTEXT[start : windows.contexts.ends[last + shift]]
                    spans.append((float(own[first, 0] + own[last, 1]), text))
    null = min(float(own[0].sum()) for own in logits)
    if with_null:
        spans.append((null, ""))
    kept: dict[str, float] = {}
    for logit, text in sorted(spans, key=lambda span: -span[0]):
        if len(kept) < n_best:
            kept.setdefault(text, logit)
    return {**kept, "": null} if with_null or not kept else kept


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.integers(-6, 6), min_size=3, max_size=90),
    st.integers(1, 8),
    st.integers(1, 9),
    st.booleans(),
)
def test_answers_are_those_of_the_definition(
    values: list[int], n_best: int, longest: int, with_null: bool
) -> None:
    logits = _logits(values)
    threshold = 0.0 if with_null else None
    (found,) = best_answers(WINDOWS, [CONTEXT], logits, n_best, longest, threshold)
    want = _plain(WINDOWS, logits, n_best, longest, with_null)
    assert [candidate.text for candidate in found.answers] == list(want)
    weights = np.exp(list(want.values()))
    scores = [candidate.score for candidate in found.answers]
    assert scores == pytest.approx(weights / weights.sum())
    for candidate in [found, *found.answers]:
        text = candidate.answer if isinstance(candidate, QuestionAnswer) else candidate.text
        assert CONTEXT[candidate.start : candidate.end] == text
    if not with_null:
        assert found.answer == next(iter(want))


def _peaks(*peaks: tuple[int, int, float]) -> list[np.ndarray]:
    """Logits of one window that are 0 but at (place, side)."""
    logits = np.zeros((4 + len("good film bad".split()) - 1, 2), np.float32)
    for place, side, value in peaks:
        logits[place, side] = value
    return [logits]


@pytest.mark.parametrize(
    ("threshold", "answer"), [(1.5, "film"), (1.0, "film"), (0.5, ""), (None, "film")]
)
def test_the_threshold_decides_between_no_answer_and_the_best(
    threshold: float | None, answer: str
) -> None:
    windows = window_questions(TOKENIZER, [""], ["good film bad"])
    logits = _peaks((3, 0, 4.0), (3, 1, 2.0), (0, 0, 5.0), (0, 1, 2.0))
    (found,) = best_answers(windows, ["good film bad"], logits, null_threshold=threshold)
    assert found.answer == answer and found.null_score == 1.0
    assert found.best_text == "film"
    assert ("" in [candidate.text for candidate in found.answers]) == (threshold is not None)
    if threshold is not None:
        (other,) = best_answers(windows, ["good film bad"], logits, null_threshold=9.0)
        assert other.answer == "film" and other.with_threshold(threshold) == found


@pytest.mark.parametrize("threshold", [None, -100.0, 100.0])
def test_a_question_that_nothing_answers_has_the_empty_answer(threshold: float | None) -> None:
    # google-research/bert fails here: its best answer is None.
    windows = window_questions(TOKENIZER, ["is it", "is it"], ["", "good film"])
    inside = np.full((6, 2), -1.0, np.float32)
    inside[:4] = 1.0
    logits = [np.zeros((5, 2), np.float32), inside]
    for found in best_answers(windows, ["", "good film"], logits, 3, 30, threshold):
        assert (found.answer, found.start, found.end, found.score) == ("", 0, 0, 1.0)
        assert np.isfinite(found.null_score) and found.best_text == ""


def test_no_questions_have_no_answers() -> None:
    assert best_answers(window_questions(TOKENIZER, [], []), [], []) == []
