"""Texts in every form that a Keras user passes, and what is said of those that are none."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import datasets
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from bert_keras.data.questions import questions_of
from bert_keras.errors import UserError
from bert_keras.tasks import (
    FeatureExtractor,
    FillMask,
    MultiLabelClassifier,
    MultipleChoice,
    QuestionAnswerer,
    SentenceEmbedder,
    TextClassifier,
    TextRegressor,
    TokenTagger,
)
from tests import small

TEXTS = ["a good film", "bad plot", "the film was great", "awful", "it is not good"]
OTHERS = ["it is", "not good", "a film", "poor", "the plot"]
LABELS = ["positive", "negative", "positive", "negative", "negative"]
NUMBERS = [1, 0, 1, 0, 0]
WORDS = [["good", "film"], ["bad"], ["a", "great", "plot"]]
CONTEXTS = ["the film was", "a plot"]
CHOICES = [["bad", "good", "not"], ["poor", "great"]]
PADDED = [row + [""] * (3 - len(row)) for row in CHOICES]
# What selecting rows of a frame leaves: positions and labels of the index differ.
INDEX = [7, 3, 5, 1, 9]


def slices(x: Any) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(x)


def task(cls: type, **options: Any) -> Any:
    keras.utils.set_random_seed(1)
    if cls in (TextClassifier, MultiLabelClassifier):
        options = {"labels": small.LABELS, **options}
    encoder = small.encoder(0.0, add_pooler=cls.needs_pooler)
    return cls(encoder, small.tokenizer(), max_length=16, **options)


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return task(TextClassifier)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "text_pair": OTHERS, "label": LABELS}, index=INDEX)


def refused(message: str) -> Any:
    """The whole message, which is one line."""
    return pytest.raises(UserError, match=f"^{re.escape(message)}$")


# Datasets.


@pytest.mark.parametrize("labels", [LABELS, NUMBERS, [0.5] * 5])
@pytest.mark.parametrize("batch_size", [2, None])
def test_labels_and_weights_of_a_dataset_are_ignored(classifier, labels, batch_size):
    weights = [1.0, 2.0, 3.0, 4.0, 5.0]
    want = classifier.predict(TEXTS)
    for parts in ((TEXTS,), (TEXTS, labels), (TEXTS, labels, weights)):
        dataset = slices(parts)
        dataset = dataset if batch_size is None else dataset.batch(batch_size)
        assert classifier.predict(dataset) == want
    pairs = classifier.predict((TEXTS, OTHERS))
    assert pairs != want
    for nested in (((TEXTS, OTHERS),), ((TEXTS, OTHERS), labels)):
        assert classifier.predict(slices(nested).batch(2)) == pairs
    named = {"text": TEXTS, "text_pair": OTHERS}
    for dataset in (slices(named), slices((named, labels)).batch(3)):
        assert classifier.predict(dataset) == pairs


@pytest.mark.parametrize("cls", [MultiLabelClassifier, TextRegressor, FeatureExtractor])
def test_every_task_of_texts_ignores_labels(cls):
    model = task(cls)
    texts = TEXTS[:3]
    want, got = model.predict(texts), model.predict(slices((texts, LABELS[:3])).batch(2))
    assert len(got) == 3 and [repr(one) for one in got] == [repr(one) for one in want]
    assert model.predict(slices((texts, LABELS[:3])).batch(2).take(0)) == []


def test_steps_bound_a_dataset_without_end(classifier):
    dataset = slices((TEXTS, NUMBERS)).batch(3).repeat()
    want = [answer.label for answer in classifier.predict(TEXTS)]
    answers = classifier.predict(dataset, steps=3)
    assert [answer.label for answer in answers] == [*want, *want[:3]]
    with refused("x is a dataset without end; give steps=, the number of its elements"):
        classifier.predict(dataset)
    with refused("steps is 2; it is for a tf.data.Dataset as x"):
        classifier.predict(TEXTS, steps=2)


def test_datasets_of_something_else_are_refused(classifier):
    four = "x yields 4 parts; expected (texts,), (texts, labels) or (texts, labels, weights): "
    with refused(four + "pairs are nested, ((texts, second texts), labels), as a tuple is (x, y)"):
        classifier.predict(slices((TEXTS, NUMBERS, NUMBERS, NUMBERS)))
    with refused("x yields texts of shape (None, 1); expected [batch]"):
        classifier.predict(slices(([[text] for text in TEXTS], NUMBERS)).batch(2))
    with pytest.raises(UserError, match="^x yields TensorSpec.* as texts; expected strings"):
        classifier.predict(slices((NUMBERS, LABELS)).batch(2))
    with pytest.raises(UserError, match=r"has the keys \['text', 'label'\]; .*tuple \(x, y\)"):
        classifier.predict(slices({"text": TEXTS, "label": LABELS}).batch(2))


def test_a_model_of_pairs_and_one_of_single_texts_take_nothing_else():
    pairs, single = task(TextClassifier, pairs=True), task(TextClassifier, pairs=False)
    for model in (pairs, single):
        model.compile()
    no_pairs = "has single texts, the model expects pairs of texts: pass (texts, second texts)"
    no_pairs += ", in a dataset nested: ((texts, second texts),)"
    no_single = "has pairs of texts, the model expects single texts: pass a list of texts"
    nested = slices(((TEXTS, OTHERS), LABELS)).batch(2)
    for method in (pairs.fit, pairs.evaluate):
        with refused(f"x: {no_pairs}"):
            method(TEXTS, LABELS)
        with refused(f"x: {no_pairs}"):
            method(slices((TEXTS, LABELS)).batch(2))
    for method in (single.fit, single.evaluate):
        with refused(f"x: {no_single}"):
            method((TEXTS, OTHERS), LABELS)
        with refused(f"x: {no_single}"):
            method(nested)
    for x in (TEXTS, slices((TEXTS, OTHERS)).batch(2), {"text": TEXTS}):
        with refused(f"x: {no_pairs}"):
            pairs.predict(x)
    for x in ((TEXTS, OTHERS), nested):
        with refused(f"x: {no_single}"):
            single.predict(x)
    assert pairs.predict([]) == single.predict(([], [])) == []
    assert len(pairs.predict(nested)) == 5
    data = slices((TEXTS, LABELS)).batch(2)
    with refused(f"validation_data[0]: {no_single}"):
        single.fit(data, validation_data=((TEXTS, OTHERS), LABELS), verbose=0)


def test_fit_on_single_texts_and_then_on_pairs_is_refused():
    model = task(TextRegressor)
    model._set_up(TEXTS, None)
    with pytest.raises(UserError, match="^x: has pairs of texts, the model expects single texts"):
        model._set_up((TEXTS, OTHERS), None)
    assert model.pairs is False


# Tables, arrays and lists.


@pytest.mark.parametrize("dtype", ["object", "str", "string", "string[pyarrow]", "category"])
def test_series_of_every_kind_are_texts_and_labels(classifier, frame, dtype):
    texts, labels = frame["text"].astype(dtype), frame["label"].astype(dtype)
    assert classifier.predict(texts) == classifier.predict(TEXTS)
    pairs = classifier.predict((texts, frame["text_pair"].astype(dtype)))
    assert pairs == classifier.predict((TEXTS, OTHERS))
    (batch,) = classifier._feature_dataset(texts, labels, None, 5, shuffle=False)
    assert batch[1].numpy().tolist() == NUMBERS
    (want,) = classifier._feature_dataset(TEXTS, LABELS, None, 5, shuffle=False)
    np.testing.assert_array_equal(batch[0]["token_ids"], want[0]["token_ids"])


def test_frames_are_one_column_or_a_pair(classifier, frame):
    for x in (frame[["text"]], frame[["text"]].rename(columns={"text": "review"})):
        assert classifier.predict(x) == classifier.predict(TEXTS)
    swapped = frame[["text_pair", "text"]]
    assert classifier.predict(swapped) == classifier.predict((TEXTS, OTHERS))
    expected = "expected text, or text and text_pair (pass one column, such as df['text'])"
    for columns in (["text", "label"], ["text", "text_pair", "label"]):
        with refused(f"x has the columns {columns}; {expected}"):
            classifier.predict(frame[columns])
    with refused(
        "x has the columns ['stars', 'review']; " + expected.replace("'text'", "'review'")
    ):
        classifier.predict(pd.DataFrame({"stars": NUMBERS, "review": TEXTS}))
    with pytest.raises(UserError, match=r"^texts is a DataFrame with the columns .*df\['text'\]$"):
        classifier.encode(frame)
    (batch,) = classifier._feature_dataset(frame[["text"]], frame[["label"]], None, 5, False)
    assert batch[1].numpy().tolist() == NUMBERS


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        lambda values: np.array(values, object),
        lambda values: np.array(values, np.dtypes.StringDType()),
        tf.constant,
        iter,
        lambda values: [value.encode() for value in values],
    ],
)
def test_arrays_tensors_iterators_and_bytes_are_texts(classifier, make):
    assert classifier.predict(make(TEXTS)) == classifier.predict(TEXTS)
    pairs = {"text": make(TEXTS), "text_pair": make(OTHERS)}
    assert classifier.predict(pairs) == classifier.predict((TEXTS, OTHERS))


def test_a_single_text_is_one(classifier):
    (want,) = classifier.predict(["good film"])
    for x in ("good film", b"good film", np.array("good film")):
        assert classifier.predict(x) == [want]


_MISSING = pd.Series(["a", "b", None, "c"], index=[4, 3, 2, 1])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (_MISSING, "x.iloc[2] is nan, a missing value; expected a string"),
        (_MISSING.astype("string"), "x.iloc[2] is <NA>, a missing value; expected a string"),
        (["a", None], "x[1] is None, a missing value; expected a string"),
        (["a", float("nan")], "x[1] is nan, a missing value; expected a string"),
        ((["a"], [2]), "x[1][0] is 2, an int; expected a string"),
        ({"text": ["a"], "text_pair": [2]}, "x['text_pair'][0] is 2, an int; expected a string"),
        ([1, 2], "x[0] is 1, an int; expected a string"),
        ({"a"}, "x is {'a'}, a set; expected a list of strings"),
        (3, "x is 3, an int; expected a list of strings"),
        (None, "x is None, a NoneType; expected a list of strings"),
        (np.array([["a"]]), "x has the shape (1, 1); expected a list of strings, in one dimension"),
        (
            [("a", "b")],
            "x[0] is ('a', 'b'), a tuple; expected a string (pairs are a tuple (texts, second "
            "texts))",
        ),
        (("a", "b"), "x is ('a', 'b'); expected a list of texts, or a tuple of two"),
        (
            {"text": ["a"], "text_pairs": ["b"]},
            "x has the keys ['text', 'text_pairs']; expected text, or text and text_pair (labels "
            "are not among them: they are the second part of a tuple (x, y))",
        ),
        (
            {"token_ids": [[2, 3]]},
            "x has the keys ['token_ids']; expected text, or text and text_pair (features are "
            "for predict_on_features)",
        ),
        ((["a", "b"], ["c"]), "x[1] has 1 values; expected 2, one for each of x[0]"),
        (
            zip("ab", [1, 0], strict=True),
            "x[0] is ('a', 1), a tuple; expected a string (pairs "
            "are a tuple (texts, second texts))",
        ),
    ],
)
def test_what_is_no_text_is_named_with_its_place(classifier, x, message):
    with refused(message):
        classifier.predict(x)


def test_fit_and_evaluate_name_the_argument_too(classifier):
    model = task(TextClassifier)
    with refused("TextClassifier: call compile() before fit()"):
        model.fit(TEXTS, LABELS)
    model.compile()
    missing = pd.Series([*TEXTS[:4], None])
    for method in (model.fit, model.evaluate):
        with refused("x.iloc[4] is nan, a missing value; expected a string"):
            method(missing, LABELS)
        with refused("y is None; expected a label for each example of x"):
            method(TEXTS)
        with refused("x yields no labels; expected a label for each example of x"):
            method(slices(TEXTS).batch(2))
        with refused("x is empty; expected at least one example"):
            method([], [])
        with refused("x is empty; expected at least one example"):
            method(slices((TEXTS, LABELS)).batch(2).take(0))
        with refused("y: x is a dataset, which holds its own"):
            method(slices((TEXTS, LABELS)).batch(2), LABELS)
    for given, message in (
        (
            (missing, LABELS),
            "validation_data[0].iloc[4] is nan, a missing value; expected a string",
        ),
        (TEXTS, "validation_data is a list; expected a tuple (x, y), or a tf.data.Dataset"),
        (
            (TEXTS,),
            "validation_data[1] is None; expected a label for each example of validation_data[0]",
        ),
        ((1, 2, 3, 4), "validation_data has 4 parts; expected (x, y) or (x, y, sample_weight)"),
    ):
        with refused(message):
            model.fit(TEXTS, LABELS, validation_data=given, verbose=0)


def test_lone_surrogates_are_read_in_fit_as_in_predict(classifier):
    texts = ["good \ud800 film", "\udfff", "bad"]
    (batch,) = classifier._feature_dataset(texts, NUMBERS[:3], None, 3, shuffle=False)
    want = classifier.tokenizer(texts, max_length=16)
    np.testing.assert_array_equal(batch[0]["token_ids"], want["token_ids"])


# Tasks with columns of their own.


@pytest.fixture(scope="module")
def answerer() -> QuestionAnswerer:
    return task(QuestionAnswerer)


def test_questions_in_every_form(answerer):
    questions, contexts = ["is it", "was it a film"], ["good film", "bad plot"]
    want = answerer.predict((questions, contexts))
    frame = pd.DataFrame({"context": contexts, "question": questions}, index=[5, 2])
    columns = (questions, contexts)
    for x in (
        frame,
        (frame["question"], frame["context"]),
        {"question": frame["question"], "context": np.array(contexts)},
        list(zip(questions, contexts, strict=True)),
        slices(columns).batch(1),
        slices(columns),
        slices((columns,)).batch(2),
        slices((columns, [0, 1])).batch(2),
        slices((*columns, [0, 1])).batch(2),
        slices((*columns, [0, 1], [1.0, 2.0])),
    ):
        assert answerer.predict(x) == want
    assert answerer.predict(slices(columns).take(0)) == []
    for x, message in (
        (
            frame.assign(id=[1, 2]),
            "x has the columns ['context', 'question', 'id']; expected question and context",
        ),
        ((questions, ["a", float("nan")]), "x[1][1] is nan, a missing value; expected a string"),
        ([("a", None)], "x[0][1] is None, a missing value; expected a string"),
        (TEXTS, "x[0] is 'a good film'; expected a tuple (question, context)"),
        ((questions, contexts[:1]), "x[1] has 1 values; expected 2, one for each of x[0]"),
    ):
        with refused(message):
            answerer.predict(x)
    answerer.compile()
    with pytest.raises(UserError, match="^x is a tuple; expected questions with their answers"):
        answerer.fit((questions, contexts), [[1, 2], [1, 2]])
    with pytest.raises(UserError, match="^sample_weight: x is a QuestionExamples, which is taken"):
        answerer.fit(questions_of(questions, contexts, [[], []]), sample_weight=[1.0, 2.0])


def test_choices_in_every_form():
    model = task(MultipleChoice)
    want = model.predict((CONTEXTS, CHOICES))
    frame = pd.DataFrame({"choices": CHOICES, "context": CONTEXTS}, index=[5, 2])
    ragged = tf.ragged.constant(CHOICES)
    for x in (
        frame,
        (frame["context"], frame["choices"]),
        (CONTEXTS, np.array(PADDED)),
        slices((CONTEXTS, PADDED)).batch(1),
        slices((CONTEXTS, PADDED, [0, 1])).batch(2),
        slices(((CONTEXTS, PADDED), [0, 1])),
        slices(((CONTEXTS, ragged), [0, 1])).batch(1),
    ):
        assert [(one.choice, one.text) for one in model.predict(x)] == [
            (one.choice, one.text) for one in want
        ]
    for x, message in (
        (
            (CONTEXTS, [["a", None], ["b", "c"]]),
            "x[1][0][1] is None, a missing value; expected a string, one of the choices",
        ),
        ((CONTEXTS, ["a", "b"]), "x[1][0] is 'a', a str; expected a list of choices"),
        ((CONTEXTS, CHOICES[:1]), "x[1] has 1 values; expected 2, one for each of x[0]"),
        (TEXTS, "x has 1 columns of texts; expected (context, choices)"),
    ):
        with refused(message):
            model.predict(x)


def test_texts_to_embed_in_every_form(frame):
    model = task(SentenceEmbedder)
    vectors = model.embed(TEXTS)
    for texts in (frame["text"], np.array(TEXTS, object), iter(TEXTS)):
        np.testing.assert_array_equal(model.embed(texts), vectors)
    alone = model.predict(TEXTS)
    for x in (frame[["text"]], frame["text"], slices((TEXTS, NUMBERS)).batch(2), slices(TEXTS)):
        assert model.predict(x) == alone
    pairs = model.predict((TEXTS, OTHERS))
    scored = slices((TEXTS, OTHERS, [0.5] * 5)).batch(2)
    for x in (frame[["text_pair", "text"]], slices((TEXTS, OTHERS)).batch(2), scored):
        assert model.predict(x) == pairs
    with pytest.raises(UserError, match=r"^x has the columns \['text', 'text_pair', 'label'\]; "):
        model.predict(frame)
    with pytest.raises(UserError, match="^x has 4 columns of texts; expected"):
        model.predict((TEXTS, TEXTS, TEXTS, TEXTS))


def test_sentences_in_every_form(frame):
    model = task(TokenTagger, labels=["O", "B-a", "I-a"])
    want = model.predict(WORDS)
    ragged = tf.ragged.constant(WORDS)
    padded = [words + [""] * (3 - len(words)) for words in WORDS]
    for x in (
        pd.Series(WORDS, index=[3, 1, 2]),
        np.array([*WORDS, None], object)[:3],
        np.array(padded),
        [tuple(words) for words in WORDS],
        [np.array(words) for words in WORDS],
        slices(ragged).batch(2),
        slices((ragged, ragged)).batch(2),
        slices(padded).batch(2),
    ):
        assert [(one.words, one.tags) for one in model.predict(x)] == [
            (one.words, one.tags) for one in want
        ]
    # A sentence of one word is not a text.
    one_word = model.predict([["good-film"], ["bad"]])
    assert [one.words for one in one_word] == [["good-film"], ["bad"]]
    texts = model.predict(TEXTS)
    for x in (frame["text"], frame[["text"]], slices((TEXTS, LABELS)).batch(2)):
        assert model.predict(x) == texts
    for x, message in (
        (["a", ["b"]], "x[1] is ['b'], a list; expected a text"),
        ([["a"], "b"], "x[1] is 'b', a str; expected a list of words"),
        ([["a", None]], "x[0][1] is None, a missing value; expected a string, one of the words"),
        (pd.Series(["a", None]), "x.iloc[1] is nan, a missing value; expected a text"),
    ):
        with refused(message):
            model.predict(x)


@pytest.mark.slow
def test_texts_with_masks_in_every_form():
    model = task(FillMask)
    texts = ["a [MASK] film", "[MASK] plot"]
    want = [one.filled for one in model.predict(texts)]
    for x in (pd.Series(texts, index=[4, 2]), slices((texts, ["good", "bad"])).batch(1)):
        assert [one.filled for one in model.predict(x)] == want
    model.compile()
    with refused("y[1] has 2 words; expected 1, as its text has [MASK]"):
        model.fit(texts, [["good"], ["bad", "good"]])
    with refused("y[0][0] is 'good film', a str; expected a word of one token, or an id below 25"):
        model.fit(texts, ["good film", "bad"])
    batches = [
        next(iter(model._feature_dataset(texts, y, None, 2, False)))[1].numpy().ravel().tolist()
        for y in (["good", "bad"], [["good"], ["bad"]], pd.Series(["good", "bad"]), [5, 8])
    ]
    good, bad = (small.VOCABULARY.index(word) for word in ("good", "bad"))
    assert batches == [[good, bad]] * 3 + [[5, 8]]


def test_five_habits_of_public_reports(classifier, frame):
    """What users reported of other BERT libraries on Keras, with the answer here."""
    want = classifier.predict(TEXTS)
    # tensorflow 24276: predict on the dataset that fit was given.
    assert classifier.predict(slices((TEXTS, NUMBERS)).batch(2)) == want
    # tensorflow 28398: batch_size beside a dataset.
    labels = [one.label for one in classifier.predict(slices(TEXTS).batch(2), batch_size=3)]
    assert labels == [one.label for one in want]
    # lightning-flash 846: predict on a DataFrame after fit on one.
    assert classifier.predict(frame[["text"]]) == want
    # ktrain 413: labels that do not begin at 0, or leave one out.
    stars = TextClassifier.labels_in(TEXTS, pd.Series([5, 1, 5, 2, 1]))
    assert stars == [1, 2, 5]
    # ktrain 39: labels of pandas.cut, a categorical column.
    cut = pd.cut(pd.Series([0.1, 0.9, 0.2, 0.8, 0.7]), [0, 0.5, 1], labels=[1, 0])
    (batch,) = classifier._feature_dataset(TEXTS, cut, None, 5, shuffle=False)
    assert batch[1].numpy().tolist() == [1, 0, 1, 0, 0]


def test_datasets_of_hugging_face_are_read_by_their_columns(classifier):
    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS})
    assert classifier.predict(rows) == classifier.predict(TEXTS)
    (batch,) = classifier._feature_dataset(rows, None, None, 5, shuffle=False)
    assert batch[1].numpy().tolist() == NUMBERS
    right = [a.label == b for a, b in zip(classifier.predict(TEXTS), LABELS, strict=True)]
    assert task(TextClassifier).evaluate(rows)["accuracy"] == np.mean(right)
    with refused("y: x is an Examples, which is taken without"):
        classifier._feature_dataset(rows, LABELS, None, 5, shuffle=False)
    words = datasets.Dataset.from_dict({"tokens": WORDS, "tags": [["O", "B-a"], ["O"], ["O"] * 3]})
    tagger = task(TokenTagger, labels=["O", "B-a", "I-a"])
    assert [one.words for one in tagger.predict(words)] == WORDS
    assert set(tagger.evaluate(words)) >= {"loss", "f1"}


@pytest.mark.slow
def test_pandas_is_not_imported():
    code = "import sys; sys.modules['pandas'] = None; import bert_keras.tasks"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
