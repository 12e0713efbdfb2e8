"""From start and end logits to the best answers, as text of the context."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from bert_keras.data.question_windows import QuestionWindows

Ints = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]

# Windows decoded at a time.
_CHUNK = 512


@dataclasses.dataclass(frozen=True)
class AnswerCandidate:
    """A possible answer: its text, where it stands in the context (in characters, the end
    exclusive), and its probability among those kept. The text of "no answer" is empty."""

    text: str
    start: int
    end: int
    score: float


@dataclasses.dataclass(frozen=True)
class QuestionAnswer:
    """The answer to one question.

    Attributes:
        answer: the text as it stands in the context, empty for no answer.
        start, end: where, in characters, the end exclusive.
        score: its probability among `answers`.
        null_score: the logit of "no answer" less that of the best answer (0 if there is none);
            the answer is empty where this is above the model's threshold, if the model has one.
        answers: the best answers, the likeliest first.
    """

    answer: str
    start: int
    end: int
    score: float
    null_score: float
    answers: list[AnswerCandidate]

    @property
    def best_text(self) -> str:
        """The best answer, whether or not there may be none."""
        return next((candidate.text for candidate in self.answers if candidate.text), "")

    def with_threshold(self, threshold: float | None) -> QuestionAnswer:
        """The same candidates with the answer that a null threshold makes of them, or none.

        With one they must be those of `best_answers` with one.
        """
        if threshold is None:
            return self
        empty = self.null_score > threshold or not self.best_text
        chosen = next(one for one in self.answers if (not one.text) == empty)
        place = chosen.start, chosen.end, chosen.score
        return QuestionAnswer(chosen.text, *place, self.null_score, self.answers)


@dataclasses.dataclass(frozen=True)
class AnsweredQuestions:
    """What a model says of questions: float32 logits `[length, 2]`, start and end, of each window,
    and the answer that these make to each question."""

    logits: list[Logits]
    answers: list[QuestionAnswer]

    def best_and_null(self) -> tuple[list[str], list[float]]:
        """The best answers, given or not, and how much likelier no answer is than each."""
        return [one.best_text for one in self.answers], [one.null_score for one in self.answers]


def best_answers(
    windows: QuestionWindows,
    contexts: Sequence[str],
    logits: Sequence[Logits],
    n_best: int = 20,
    max_answer_length: int = 30,
    null_threshold: float | None = None,
) -> list[QuestionAnswer]:
    """Answers as google-research/bert's `run_squad.py` chooses them, one for each question.

    Of each window the `n_best` likeliest starts and ends are paired; the start must be where its
    token has its best context. Pairs are ranked by the sum of their logits over all windows, and
    the first `n_best` different texts are kept. The logit of no answer is that of [CLS], the
    least of the windows.

    Args:
        windows: of N questions.
        contexts: their N contexts.
        logits: for each window, float32 `[length, 2]`: those of start and end.
        n_best: answers to keep.
        max_answer_length: tokens of the longest answer.
        null_threshold: how much likelier no answer must be to be given; None where every
            question has an answer.
    """
    if not len(contexts):
        return []
    found = _Spans.of(windows, logits, n_best, max_answer_length)
    answers = []
    for question, context in enumerate(contexts):
        kept = found.texts(windows, question, context, n_best, null_threshold is not None)
        answers.append(_answer(kept, found.null(question), null_threshold))
    return answers


@dataclasses.dataclass(frozen=True)
class _Spans:
    """Candidate spans of every question, the likeliest first.

    Attributes:
        firsts, lasts: the first and the last token, in the tokens of the context.
        logits: the sums of two logits, float64.
        splits: `[N + 1]`, where those of each question begin and end.
        nulls: `[N]`, the logits of no answer.
    """

    firsts: Ints
    lasts: Ints
    logits: npt.NDArray[np.float64]
    splits: Ints
    nulls: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls, windows: QuestionWindows, logits: Sequence[Logits], n_best: int, longest: int
    ) -> _Spans:
        parts = list(_spans_by_window(windows, logits, n_best, longest))
        rows, firsts, lasts, sums = (
            np.concatenate([part[column] for part in parts]) for column in range(4)
        )
        owners = np.searchsorted(windows.splits, rows, side="right") - 1
        # Stable: of equals the first window's comes first, then that of the likelier start.
        order = np.lexsort((-sums, owners))
        nulls = np.array([row[0].astype(np.float64).sum() for row in logits])
        return cls(
            firsts[order],
            lasts[order],
            sums[order],
            np.searchsorted(owners[order], np.arange(len(windows.splits))),
            np.minimum.reduceat(nulls, windows.splits[:-1]) if len(nulls) else nulls,
        )

    def null(self, question: int) -> float:
        return float(self.nulls[question])

    def texts(
        self, windows: QuestionWindows, question: int, context: str, n_best: int, with_null: bool
    ) -> list[tuple[str, int, int, float]]:
        """The first `n_best` different texts with start, end and logit; no answer is always one
        of them, if it is one at all."""
        tokens, null = windows.contexts, self.null(question)
        base = tokens.splits[windows.context_of[question]]
        kept: dict[str, tuple[str, int, int, float]] = {}
        for index in range(*self.splits[[question, question + 1]]):
            if with_null and null > self.logits[index]:
                kept.setdefault("", ("", 0, 0, null))
            if len(kept) >= n_best:
                break
            start = int(tokens.starts[base + self.firsts[index]])
            end = int(tokens.ends[base + self.lasts[index]])
            text = context[start:end]
            kept.setdefault(text, (text, start, end, float(self.logits[index])))
        if with_null or not kept:
            kept.setdefault("", ("", 0, 0, null))
        return list(kept.values())


def _spans_by_window(
    windows: QuestionWindows, logits: Sequence[Logits], n_best: int, longest: int
) -> Iterator[tuple[Ints, Ints, Ints, npt.NDArray[np.float64]]]:
    """Window, first and last context token, and logit of the valid pairs, chunk by chunk."""
    for begin in range(0, len(logits), _CHUNK):
        chunk = logits[begin : begin + _CHUNK]
        rows = np.arange(begin, begin + len(chunk))
        width = max(len(row) for row in chunk)
        padded = np.full((len(chunk), width, 2), -np.inf, np.float32)
        for row, values in zip(padded, chunk, strict=True):
            row[: len(values)] = values
        # Stable, so that of equal logits the earlier place comes first.
        likeliest = np.argsort(-padded, axis=1, kind="stable")[:, :n_best]
        starts, ends = likeliest[..., 0], likeliest[..., 1]
        top = np.take_along_axis(padded, likeliest, axis=1).astype(np.float64)
        inside = np.arange(width) - windows.offsets[rows][:, None]
        in_context = (inside >= 0) & (inside < windows.sizes[rows][:, None])
        can_start = np.take_along_axis(windows.max_context(rows, width), starts, axis=1)
        can_end = np.take_along_axis(in_context, ends, axis=1)
        lengths = ends[:, None, :] - starts[:, :, None] + 1
        valid = can_start[:, :, None] & can_end[:, None, :] & (lengths > 0) & (lengths <= longest)
        places, first, last = np.nonzero(valid)
        owners = rows[places]
        shift = windows.first[owners] - windows.offsets[owners]
        sums = top[places, first, 0] + top[places, last, 1]
        yield owners, starts[places, first] + shift, ends[places, last] + shift, sums


def _answer(
    kept: list[tuple[str, int, int, float]], null: float, threshold: float | None
) -> QuestionAnswer:
    top = max(logit for *_, logit in kept)
    weights = [math.exp(logit - top) for *_, logit in kept]
    total = sum(weights)
    candidates = [
        AnswerCandidate(text, start, end, weight / total)
        for (text, start, end, _), weight in zip(kept, weights, strict=True)
    ]
    best = next((index for index, one in enumerate(kept) if one[0]), None)
    null_score = null - kept[best][3] if best is not None else 0.0
    # Where no text is kept, no answer is the only candidate.
    chosen = candidates[best or 0]
    place = chosen.start, chosen.end, chosen.score
    answer = QuestionAnswer(chosen.text, *place, null_score, candidates)
    return answer.with_threshold(threshold)
