"""Tagging and question answering in the C++ session give what `predict` gives, at any length."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest

from bert_keras.export import saved_model, sliding
from bert_keras.export.capi import CppSession, StatusError
from bert_keras.tasks import QuestionAnswerer, TokenTagger
from tests import small

WORDS = [*small.WORDS, "filmer", "plots", "苹果", "é", "😀", "unknown", "!", ".", "  ", "a\u0301"]
SPECIAL = [
    "",
    " ",
    "good",
    "\x00",
    "the film " * 300,
    "awful",
    "苹果" * 40,
    "[SEP] film",
    "good" * 80,
]


def _texts(count: int, longest: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, longest))) for _ in range(count)]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(1)


@pytest.fixture
def serve(tmp_path):
    """Exports a task, and a session of it that is closed in the end."""
    sessions = []

    def start(task):
        path = saved_model.save(task, tmp_path / "model" / str(len(sessions) + 1))
        sessions.append(CppSession(path))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


def _equal_but_for_ties(texts: list[str], answers) -> bool:
    """Whether texts are those of the answers; of equal scores, rounding decides the order."""
    scores = np.array([answer.score for answer in answers])
    for rank, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        if text != answer.text:
            # The next one may be beyond the last.
            near = np.abs(scores - scores[rank]) < 1e-5
            if near.sum() < 2 and rank < len(answers) - 1:
                return False
    return True


def _decoded(values: np.ndarray) -> list[str]:
    return [value.decode("utf-8") for value in values]


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"impossible": True, "null_score_threshold": 0.02}, marks=pytest.mark.slow),
        pytest.param(
            {"doc_stride": 1, "max_length": 20, "impossible": True}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"doc_stride": 500, "max_query_length": 2, "n_best": 3}, marks=pytest.mark.slow
        ),
        pytest.param({"n_best": 40, "max_answer_length": 2}, marks=pytest.mark.slow),
    ],
    ids=lambda options: ",".join(options) or "plain",
)
def test_answers(serve, options, monkeypatch):
    monkeypatch.setattr(sliding, "_TOKENS_AT_ONCE", 512)
    sizes = {"doc_stride": 5, "max_query_length": 8, "max_length": 24}
    model = QuestionAnswerer(
        small.encoder(add_pooler=False), small.tokenizer(), **{**sizes, **options}
    )
    session = serve(model)
    contexts = [*SPECIAL, *_texts(20, 60, seed=2)]
    questions = _texts(len(contexts), 12, seed=3)
    questions[:2] = ["", "!" * 50]
    outputs = session.run("serving_default", {"question": questions, "context": contexts})
    expected = model.predict((questions, contexts))
    assert outputs["answers"].shape == (len(contexts), model.n_best + model.impossible)
    for row, answer in enumerate(expected):
        count = len(answer.answers)
        found = _decoded(outputs["answers"][row][:count])
        assert _equal_but_for_ties(found, answer.answers), row
        same = found == [x.text for x in answer.answers]
        assert not same or outputs["answer"][row].decode() == answer.answer, row
        once = same and contexts[row].count(answer.answer) == 1
        place = outputs["start"][row], outputs["end"][row]
        # Where a text is there several times, rounding decides between its places.
        assert not once or place == (answer.start, answer.end)
        own = outputs["answer"][row].decode()
        assert contexts[row][outputs["start"][row] : outputs["end"][row]] == own
        np.testing.assert_allclose(outputs["score"][row], answer.score, atol=1e-5)
        np.testing.assert_allclose(outputs["null_score"][row], answer.null_score, atol=1e-5)
        assert set(outputs["answers"][row][count:]) <= {b""}
        places = zip(outputs["answer_starts"][row], outputs["answer_ends"][row], strict=True)
        cut = [contexts[row][start:end] for start, end in places]
        assert cut == _decoded(outputs["answers"][row])
        scores = [x.score for x in answer.answers]
        np.testing.assert_allclose(outputs["answer_scores"][row][:count], scores, atol=1e-5)
        assert not outputs["answer_scores"][row][count:].any()
    alone = session.run("serving_default", {"question": questions[4:5], "context": contexts[4:5]})
    assert alone["answer"][0].decode() == expected[4].answer


def test_questions_and_contexts_that_do_not_belong_together(serve):
    session = serve(
        QuestionAnswerer(small.encoder(add_pooler=False), small.tokenizer(), max_length=24)
    )
    with pytest.raises(StatusError, match="INVALID_ARGUMENT"):
        session.run("serving_default", {"question": ["one", "two"], "context": ["film"]})
    nothing = np.array([], object)
    outputs = session.run("serving_default", {"question": nothing, "context": nothing})
    assert outputs["answer"].shape == (0,) and outputs["answers"].shape == (0, 20)


@pytest.mark.slow
@pytest.mark.parametrize("max_length", [8, 24])
@pytest.mark.parametrize("crf", [False, True])
def test_tags(serve, crf, max_length, monkeypatch):
    monkeypatch.setattr(sliding, "_TOKENS_AT_ONCE", 256)
    labels = ["O", "B-film", "I-film", "B-plot", "I-plot"]
    tagger = TokenTagger(
        small.encoder(add_pooler=False), small.tokenizer(), labels, crf=crf, max_length=max_length
    )
    if crf:
        for weight in tagger.crf.weights:
            weight.assign(np.random.default_rng(5).normal(size=weight.shape))
    session = serve(tagger)
    texts = [*SPECIAL, *_texts(30, 40, seed=4)]
    outputs = session.run("serving_default", {"text": texts})
    expected = tagger.predict(texts)
    width = max(len(answer.words) for answer in expected)
    assert outputs["tags"].shape == (len(texts), width)
    for row, answer in enumerate(expected):
        count = outputs["length"][row]
        assert _decoded(outputs["words"][row][:count]) == answer.words
        assert _decoded(outputs["tags"][row][:count]) == answer.tags, row
        for name in ("starts", "ends"):
            assert outputs[name][row][:count].tolist() == getattr(answer, name)
        np.testing.assert_allclose(outputs["scores"][row][:count], answer.scores, atol=1e-5)
        for name in ("words", "tags", "starts", "ends", "scores"):
            assert not any(outputs[name][row][count:].tolist())
    nothing = session.run("serving_default", {"text": np.array([], object)})
    assert nothing["tags"].shape == (0, 0)
    empty = session.run("serving_default", {"text": ["", " "]})
    assert empty["tags"].shape == (2, 0) and empty["length"].tolist() == [0, 0]
