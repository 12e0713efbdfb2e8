"""The outputs of a servable as the answers that the task's `predict` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bert_keras.data.text_words import PlacedWords
from bert_keras.metrics.tag_schemes import scheme_of_labels
from bert_keras.tasks import (
    AnswerCandidate,
    Choice,
    Classification,
    Embedding,
    FilledText,
    MultiLabelClassification,
    QuestionAnswer,
    Regression,
    Tagging,
)
from bert_keras.tasks.entity_answers import tagging_of
from bert_keras.tasks.filled_text import filled_text
from bert_keras.tasks.labelled import Label

Outputs = Mapping[str, np.ndarray]


def _texts(values: np.ndarray) -> list[str]:
    return [value.decode("utf-8", "replace") for value in values]


def classifications(outputs: Outputs) -> list[Classification] | list[MultiLabelClassification]:
    """One label for each text, or, of a servable that says which are `selected`, any number."""
    every: list[dict[Label, float]] = [
        dict(zip(_texts(classes), scores.tolist(), strict=True))
        for classes, scores in zip(outputs["classes"], outputs["scores"], strict=True)
    ]
    if "selected" not in outputs:
        best = [max(scores, key=lambda name: scores[name]) for scores in every]
        return [
            Classification(label, scores[label], scores)
            for label, scores in zip(best, every, strict=True)
        ]
    answers = []
    labels: list[Label]
    for scores, selected in zip(every, outputs["selected"], strict=True):
        labels = [label for label, chosen in zip(scores, selected, strict=True) if chosen]
        labels.sort(key=lambda name: -scores[name])
        answers.append(MultiLabelClassification(labels, scores))
    return answers


def regressions(outputs: Outputs) -> list[Regression]:
    """The score of each text."""
    return [Regression(score) for score in outputs["score"].tolist()]


def taggings(texts: Sequence[str], outputs: Outputs) -> list[Tagging]:
    """The words of each text with their tags, and the entities that these make."""
    answers = []
    for row, text in enumerate(texts):
        own = slice(int(outputs["length"][row]))
        words, tags = (_texts(outputs[name][row, own]) for name in ("words", "tags"))
        starts, ends, scores = (
            outputs[name][row, own].tolist() for name in ("starts", "ends", "scores")
        )
        placed = PlacedWords(text, words, starts, ends)
        answers.append(tagging_of(placed, tags, scores, scheme_of_labels(tags)))
    return answers


def question_answers(outputs: Outputs) -> list[QuestionAnswer]:
    """The answer to each question, with the other candidates."""
    places = ("answer_starts", "answer_ends", "answer_scores")
    answers = []
    for row, text in enumerate(_texts(outputs["answer"])):
        columns = (outputs[name][row].tolist() for name in places)
        candidates = [
            AnswerCandidate(*candidate)
            for candidate in zip(_texts(outputs["answers"][row]), *columns, strict=True)
            # What is behind the last is empty.
            if candidate[-1] > 0
        ]
        own = {name: outputs[name][row].item() for name in ("start", "end", "score", "null_score")}
        answers.append(QuestionAnswer(answer=text, answers=candidates, **own))
    return answers


def choices(given: Sequence[Sequence[str]], outputs: Outputs) -> list[Choice]:
    """The choice that each context goes with, of those given."""
    rows = zip(given, outputs["choice"].tolist(), outputs["scores"].tolist(), strict=True)
    return [Choice(chosen, own[chosen], scores[: len(own)]) for own, chosen, scores in rows]


def embeddings(outputs: Outputs) -> list[Embedding]:
    """The vector of each text, in the shortest decimals that give the float32 again."""
    return [Embedding([float(str(x)) for x in vector]) for vector in outputs["embedding"]]


def fillings(texts: Sequence[str], outputs: Outputs) -> list[FilledText]:
    """The tokens for the first [MASK] of each text; further ones stay as they are."""
    answers = []
    for text, row, scores in zip(texts, outputs["tokens"], outputs["scores"], strict=True):
        found = bool(scores.any())
        answers.append(filled_text(text, [_texts(row)][:found], [scores.tolist()][:found]))
    return answers
