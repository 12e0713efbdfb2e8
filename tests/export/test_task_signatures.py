"""Every task's signature in the C++ session gives what `predict` gives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.export import saved_model
from bert_keras.export.capi import CppSession, StatusError
from bert_keras.tasks import (
    FillMask,
    MultiLabelClassifier,
    MultipleChoice,
    SentenceEmbedder,
    TextRegressor,
)
from tests import small

TEXTS = ["the film was great", "", "苹果 😀 é", "awful " * 40, "[SEP] it's not good!", "a\x00b"]


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Exports a task, and a session of it that is closed in the end."""
    sessions = []

    def start(task):
        path = saved_model.save(task, tmp_path_factory.mktemp("base") / "model" / "1")
        sessions.append(CppSession(path))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


def _examples(texts: list[str]) -> list[bytes]:
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    "text": tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[text.encode("utf-8")])
                    )
                }
            )
        ).SerializeToString()
        for text in texts
    ]


@pytest.mark.slow
def test_scores_of_regression(serve):
    model = TextRegressor(small.encoder(), small.tokenizer(), max_length=16)
    session = serve(model)
    expected = [answer.score for answer in model.predict(TEXTS)]
    for name, key, output in (
        ("serving_default", "text", "score"),
        ("regress", "inputs", "outputs"),
    ):
        inputs = TEXTS if key == "text" else _examples(TEXTS)
        scores = session.run(name, {key: inputs})[output]
        assert scores.shape == (len(TEXTS),)
        np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.slow
def test_several_labels(serve):
    labels = ["sad", "long", "good"]
    model = MultiLabelClassifier(small.encoder(), small.tokenizer(), labels, max_length=16)
    session = serve(model)
    outputs = session.run("serving_default", {"text": TEXTS})
    classified = session.run("classify", {"inputs": _examples(TEXTS)})
    for row, answer in enumerate(model.predict(TEXTS)):
        assert [name.decode() for name in outputs["classes"][row]] == labels
        np.testing.assert_allclose(outputs["scores"][row], list(answer.scores.values()), atol=1e-5)
        chosen = [
            x for x, is_chosen in zip(labels, outputs["selected"][row], strict=True) if is_chosen
        ]
        assert sorted(chosen) == sorted(answer.labels)
    np.testing.assert_array_equal(classified["scores"], outputs["scores"])


def test_embeddings(serve):
    for pooling, normalize in (("mean", True), ("max", False)):
        embedder = SentenceEmbedder(
            small.encoder(add_pooler=False), small.tokenizer(), pooling, normalize, max_length=16
        )
        session = serve(embedder)
        vectors = session.run("serving_default", {"text": TEXTS})["embedding"]
        np.testing.assert_allclose(vectors, embedder.embed(TEXTS), atol=1e-5)
        assert session.run("serving_default", {"text": np.array([], object)})[
            "embedding"
        ].shape == (0, 32)


def test_choices(serve):
    model = MultipleChoice(small.encoder(), small.tokenizer(), max_length=16)
    session = serve(model)
    contexts = ["the film", "a plot", ""]
    choices = [["was good", "was bad"], ["it is", "awful", "great!"], ["a", "the", "and"]]
    padded = [row + [""] * (3 - len(row)) for row in choices]
    inputs = {"context": contexts, "choices": np.array(padded, object)}
    outputs = session.run("serving_default", inputs)
    for row, answer in enumerate(model.predict((contexts, choices))):
        assert outputs["choice"][row] == answer.choice
        scores = answer.scores + [0.0] * (3 - len(answer.scores))
        np.testing.assert_allclose(outputs["scores"][row], scores, atol=1e-5)
    with pytest.raises(StatusError, match="INVALID_ARGUMENT"):
        session.run("serving_default", {**inputs, "context": ["one", "two"]})
    with pytest.raises(StatusError, match="INVALID_ARGUMENT|not compatible"):
        session.run("serving_default", {**inputs, "choices": ["flat"]})
    empty = {"context": np.array([], object), "choices": np.zeros((0, 2), object)}
    assert session.run("serving_default", empty)["choice"].shape == (0,)


@pytest.mark.slow
def test_masks(serve):
    model = FillMask(small.encoder(add_pooler=False), small.tokenizer(), top_k=4, max_length=16)
    session = serve(model)
    texts = ["the [MASK] was good", "no mask at all", "[MASK] and [MASK]", ""]
    outputs = session.run("serving_default", {"text": texts})
    assert outputs["tokens"].shape == (4, 4)
    for row in (0, 2):
        first = model.predict([texts[row]])[0].masks[0]
        assert [token.decode() for token in outputs["tokens"][row]] == [t.token for t in first]
        np.testing.assert_allclose(outputs["scores"][row], [t.score for t in first], atol=1e-5)
    for row in (1, 3):
        assert set(outputs["tokens"][row]) == {b""} and not outputs["scores"][row].any()
    assert session.run("serving_default", {"text": ["nothing"]})["tokens"].shape == (1, 4)
    assert session.run("serving_default", {"text": np.array([], object)})["scores"].shape == (0, 4)
