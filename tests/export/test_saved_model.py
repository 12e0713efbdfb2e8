"""Servables in the C++ session: values, sizes, and inputs that must not crash it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bert_keras import cli
from bert_keras.errors import UserError
from bert_keras.export import saved_model
from bert_keras.export.capi import CppSession, StatusError
from tests import small

TEXTS = ["the film was great", "", "苹果 😀 é", "awful " * 40, "[SEP] it's not good!", "a\x00b"]


@pytest.fixture(scope="module")
def classifier():
    return small.classifier()


@pytest.fixture(scope="module")
def servable(classifier, tmp_path_factory):
    return saved_model.save(classifier, tmp_path_factory.mktemp("base") / "sentiment" / "1")


@pytest.fixture(scope="module")
def session(servable):
    with CppSession(servable) as session:
        yield session


@pytest.fixture(scope="module")
def pair_session(tmp_path_factory):
    classifier = small.classifier(pairs=True)
    # Far apart, so that a segment which is lost shows.
    segments = classifier.encoder.embeddings.segment_embeddings
    segments.assign(np.random.default_rng(0).normal(size=segments.shape))
    path = saved_model.save(classifier, tmp_path_factory.mktemp("base") / "pairs" / "1")
    with CppSession(path) as session:
        yield classifier, session


def _check(outputs, answers):
    for row, answer in enumerate(answers):
        classes = [name.decode() for name in outputs["classes"][row]]
        assert classes == list(answer.scores)
        np.testing.assert_allclose(outputs["scores"][row], list(answer.scores.values()), atol=1e-5)
        if "label" in outputs:
            assert outputs["label"][row].decode() == answer.label


def test_predict_signature_equals_python(classifier, session):
    outputs = session.run("serving_default", {"text": TEXTS})
    assert sorted(outputs) == ["classes", "label", "scores"]
    _check(outputs, classifier.predict(TEXTS))


def test_bfloat16_is_half_the_size_and_nearly_the_same(classifier, servable, tmp_path):
    classifier.save_pretrained(tmp_path / "model")
    flags = [f"--model={tmp_path / 'model'}", f"--output={tmp_path / 'small' / '1'}"]
    assert cli.main(["export", *flags, "--precision=bfloat16"]) == 0
    weights, half = (
        folder / "variables" / "variables.data-00000-of-00001"
        for folder in (servable, tmp_path / "small" / "1")
    )
    assert 0.4 * weights.stat().st_size < half.stat().st_size < 0.6 * weights.stat().st_size
    with CppSession(tmp_path / "small" / "1") as session:
        scores = session.run("serving_default", {"text": TEXTS})["scores"]
    assert scores.dtype == np.float32
    expected = [list(answer.scores.values()) for answer in classifier.predict(TEXTS)]
    np.testing.assert_allclose(scores, expected, atol=0.02)
    assert np.abs(scores - expected).max() > 1e-6


def _examples(**columns) -> list[bytes]:
    rows = zip(*columns.values(), strict=True)
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
                    for name, value in zip(columns, row, strict=True)
                }
            )
        ).SerializeToString()
        for row in rows
    ]


def test_classify_signature_equals_python(classifier, session):
    outputs = session.run("classify", {"inputs": _examples(text=TEXTS)})
    assert sorted(outputs) == ["classes", "scores"]
    _check(outputs, classifier.predict(TEXTS))


def test_pairs_by_both_signatures(pair_session):
    classifier, session = pair_session
    answers = classifier.predict((TEXTS, TEXTS[::-1]))
    columns = {"text": TEXTS, "text_pair": TEXTS[::-1]}
    _check(session.run("serving_default", columns), answers)
    _check(session.run("classify", {"inputs": _examples(**columns)}), answers)


def test_segments_reach_the_model(pair_session):
    _, session = pair_session
    one = session.run("serving_default", {"text": ["a film"], "text_pair": ["bad"]})
    two = session.run("serving_default", {"text": ["a"], "text_pair": ["film bad"]})
    assert np.abs(one["scores"] - two["scores"]).max() > 1e-4


def test_shapes_in_the_signature_are_dense_with_the_batch_first(session):
    signature = session.signatures["serving_default"]
    shapes = {name: spec.shape for name, spec in signature.outputs.items()}
    assert shapes == {"label": (None,), "scores": (None, 2), "classes": (None, 2)}
    assert signature.inputs["text"].shape == (None,)


@pytest.mark.parametrize(
    "text", [np.array("x", object), np.array([["x"]], object), np.zeros((1, 1, 1), object)]
)
def test_other_ranks_are_refused(session, text):
    text = np.vectorize(str, otypes=[object])(text)
    for name, key in (("serving_default", "text"), ("classify", "inputs")):
        with pytest.raises(StatusError, match="is not compatible with expected shape|INVALID"):
            session.run(name, {key: text})
    assert session.run("serving_default", {"text": ["still alive"]})["scores"].shape == (1, 2)


def test_batches_of_different_size_are_refused(pair_session):
    _, session = pair_session
    with pytest.raises(StatusError, match="Shapes of all inputs must match"):
        session.run("serving_default", {"text": ["a", "b"], "text_pair": ["c"]})


def test_an_empty_batch_is_an_empty_answer(session, pair_session):
    empty = np.array([], object)
    assert session.run("serving_default", {"text": empty})["scores"].shape == (0, 2)
    outputs = pair_session[1].run("serving_default", {"text": empty, "text_pair": empty})
    assert outputs["label"].shape == (0,)


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe\xfa", b"", b"\x00" * 100, b"x" * 100_000, b"word " * 20_000, "é".encode() * 50_000],
)
def test_odd_and_long_bytes_get_an_answer(session, text):
    scores = session.run("serving_default", {"text": [text]})["scores"]
    assert scores.shape == (1, 2) and np.all(np.isfinite(scores))


def test_numbers_and_broken_examples_are_refused(session):
    with pytest.raises(StatusError, match="string but float is provided"):
        session.run("serving_default", {"text": np.array([1.5], np.float32)})
    with pytest.raises(StatusError, match="INVALID_ARGUMENT"):
        session.run("classify", {"inputs": [b"not an example"]})
    with pytest.raises(StatusError, match="text"):
        session.run("classify", {"inputs": _examples(other=["a"])})


def test_each_weight_is_stored_once(classifier, servable):
    weights = sum(int(np.prod(weight.shape)) * 4 for weight in classifier.weights)
    size = sum(file.stat().st_size for file in servable.rglob("*") if file.is_file())
    assert size <= weights * 1.05 + 5e6
    stored = sum(file.stat().st_size for file in (servable / "variables").glob("*.data-*"))
    assert weights <= stored <= weights * 1.05 + 10_000


def test_labels_and_vocabulary_are_among_the_assets(servable):
    assert (servable / "assets" / "labels.txt").read_text() == "negative\npositive\n"
    vocabulary = (servable / "assets" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert vocabulary == small.VOCABULARY


def test_nothing_is_left_beside_the_servable(servable):
    assert [path.name for path in servable.parent.iterdir()] == ["1"]


def test_a_version_that_is_there_or_no_number_is_refused(classifier, servable, tmp_path):
    with pytest.raises(UserError, match="is there already; choose the next version"):
        saved_model.save(classifier, servable)
    with pytest.raises(UserError, match="a whole number as VERSION, received 'latest'"):
        saved_model.save(classifier, tmp_path / "m" / "latest")


def test_python_loads_it_too(classifier, servable):
    loaded = tf.saved_model.load(str(servable))
    outputs = loaded.signatures["serving_default"](text=tf.constant(TEXTS))
    _check({name: value.numpy() for name, value in outputs.items()}, classifier.predict(TEXTS))
