"""Labels and weights in every form, and what is said of those that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tasks import (
    MultiLabelClassifier,
    MultipleChoice,
    SentenceEmbedder,
    TextClassifier,
    TextRegressor,
    TokenTagger,
)
from bert_keras.tasks.embedding_losses import max_score_of
from bert_keras.tasks.label_lookup import indices_in_graph, known_labels, label_values
from tests import small
from tests.tasks.test_inputs import CHOICES, CONTEXTS, OTHERS, PADDED, refused, slices, task

TEXTS = ["a good film", "bad plot", "the film was great", "awful"]
NAMES = ["positive", "negative", "positive", "negative"]
NAN = float("nan")
_EXPECTED = "expected one of negative, positive, or an index from 0 to 1"
_WEIGHT = "expected a finite weight of at least 0"
_ROWS = "expected class labels or indices; one-hot rows are indices by np.argmax(y, axis=1)"


@pytest.mark.parametrize(
    "y",
    [
        NAMES,
        [1, 0, 1, 0],
        [1.0, 0.0, 1.0, 0.0],
        [True, False, True, False],
        [[1], [0], [1], [0]],
        [np.int64(1), np.int8(0), np.float32(1), tf.constant(0)],
        np.array([1.0, 0.0, 1.0, 0.0]),
        np.array([[1], [0], [1], [0]]),
        np.array(NAMES),
        np.array(NAMES, object),
        np.array(NAMES, np.dtypes.StringDType()),
        [name.encode() for name in NAMES],
        pd.Series(NAMES, index=[4, 3, 2, 1]),
        pd.Series([1, 0, 1, 0], dtype="Int64"),
        pd.DataFrame({"label": NAMES}),
        tf.constant([1, 0, 1, 0]),
    ],
)
def test_labels_in_every_form_are_the_same(y):
    assert known_labels(y, small.LABELS, "y") == NAMES


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 0.9], f"y[1] is 0.9, a float; {_EXPECTED}"),
        (
            pd.Series([0, 0.2], index=[5, 3]),
            f"y.iloc[1] is 0.2, a float; {_EXPECTED}",
        ),
        ([NAN, 1], f"y[0] is nan, a missing value; {_EXPECTED}"),
        ([float("inf"), 1], f"y[0] is inf, a float; {_EXPECTED}"),
        ([None, "positive"], f"y[0] is None, a missing value; {_EXPECTED}"),
        (
            pd.Series([1, None], dtype="Int64"),
            f"y.iloc[1] is <NA>, a missing value; {_EXPECTED}",
        ),
        ([0, 2], f"y[1] is 2, an int; {_EXPECTED}"),
        ([0, -1], f"y[1] is -1, an int; {_EXPECTED}"),
        (["positive", "Negative"], f"y[1] is 'Negative', a str; {_EXPECTED}"),
        (["1", "0"], f"y[0] is '1', a str; {_EXPECTED}"),
        (["positive", 0], "y[1] is 0, an int; expected a string, as y[0] is"),
        ([0, "positive"], "y[1] is 'positive', a str; expected a number, as y[0] is"),
        ([[0, 1], [1, 0]], f"y[0] is [0, 1], a list; {_ROWS}"),
        (np.eye(2), f"y has the shape (2, 2); {_ROWS}"),
        ({"a": 1}, "y is {'a': 1}, a dict; expected a list of labels"),
        ({0, 1}, "y is {0, 1}, a set; expected a list of labels"),
    ],
)
def test_what_is_no_label_is_named_with_its_place(y, message):
    with refused(message):
        known_labels(y, small.LABELS, "y")


def test_numbers_are_names_where_every_label_is_a_number():
    for labels in (["1", "2", "3"], [1, 2, 3]):
        for y in ([3, 1, 2], [3.0, 1.0, 2.0], ["3", "1", "2"], np.array([3, 1, 2], np.int8)):
            assert known_labels(y, labels, "y") == [labels[2], labels[0], labels[1]]
            assert indices_in_graph(tf.constant(y), labels).numpy().tolist() == [2, 0, 1]
        with refused("y[0] is 0, an int; expected one of 1, 2, 3"):
            known_labels([0, 1], labels, "y")
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="1, 2, 3: received 0 at position 1"
        ):
            indices_in_graph(tf.constant([1, 0]), labels)


def test_classes_without_names_are_their_numbers():
    labels = ["LABEL_0", "LABEL_1"]
    for y in (["1", "0"], [1, 0], ["LABEL_1", "LABEL_0"]):
        assert known_labels(y, labels, "y") == ["LABEL_1", "LABEL_0"]
        assert indices_in_graph(tf.constant(y), labels).numpy().tolist() == [1, 0]
    with refused("y[0] is '2', a str; expected one of LABEL_0, LABEL_1, or an index from 0 to 1"):
        known_labels(["2"], labels, "y")


@pytest.mark.parametrize("labels", [["True", "False"], ["false", "true"]])
def test_booleans_are_names_where_the_labels_are_theirs(labels):
    found = known_labels([True, False], labels, "y")
    assert [label.lower() for label in found] == ["true", "false"]
    indices = indices_in_graph(tf.constant([True, False]), labels).numpy()
    assert [labels[index] for index in indices] == found


def test_labels_of_a_model_that_has_none_yet():
    assert label_values([True, False], "y") == [1, 0]
    assert label_values(np.array([2.0, 1.0]), "y") == [2, 1]
    assert label_values(pd.Series(["b", "a"], index=[3, 1]), "y") == ["b", "a"]
    expected = "expected a string or a whole number as the label"
    for y, message in (
        ([1, 0.5], f"y[1] is 0.5, a float; {expected}"),
        ([1, NAN], f"y[1] is nan, a missing value; {expected}"),
        ([1, None], f"y[1] is None, a missing value; {expected}"),
        (["a", 1], "y[1] is 1, an int; expected a string, as y[0] is"),
        ([[0, 1]], f"y[0] is [0, 1], a list; {_ROWS}"),
    ):
        with refused(message):
            label_values(y, "y")
    with refused(f"the labels of x[1] is 0.5, a float; {expected}"):
        TextClassifier.labels_in(slices((TEXTS[:2], [1, 0.5])).batch(2), None)
    assert TextClassifier.labels_in(slices((TEXTS, NAMES)).batch(3), None) == small.LABELS


@pytest.mark.parametrize("labels", ["ab", {"a", "b"}, {"a": 1}, [0.5, 1], [None, "a"], [NAN, 1]])
def test_what_cannot_be_a_models_labels(labels):
    with pytest.raises(UserError, match="^labels.*(expected a list of labels|whole numbers, rec)"):
        small.classifier(labels=labels)


def test_labels_are_checked_before_anything_is_trained():
    model = task(TextClassifier)
    model.compile()
    before = model.classifier.kernel.numpy()
    for method in (model.fit, model.evaluate):
        with refused(f"y[0] is 0.9, a float; {_EXPECTED}"):
            method(TEXTS, [0.9, 0.2, 1, 0])
        with refused("y has 2 values; expected 4, one for each of x"):
            method(TEXTS, NAMES[:2])
        for weights, message in (
            ([1.0, 2.0], "sample_weight has 2 values; expected 4, one for each of x"),
            (
                [1.0, NAN, 1.0, 1.0],
                "sample_weight[1] is nan, a missing value; expected a finite weight of at least 0",
            ),
            (
                [1, -1, 1, 1],
                f"sample_weight[1] is -1, an int; {_WEIGHT}",
            ),
            (["a"] * 4, "sample_weight[0] is 'a', a str; expected a finite weight of at least 0"),
        ):
            with refused(message):
                method(TEXTS, NAMES, sample_weight=weights)
    for given, message in (
        ((TEXTS, [0.9, 0, 1, 0]), f"validation_data[1][0] is 0.9, a float; {_EXPECTED}"),
        (
            (TEXTS, NAMES[:3]),
            "validation_data[1] has 3 values; expected 4, one for each of validation_data[0]",
        ),
        (
            (TEXTS, NAMES, [1, 1, 1, NAN]),
            "validation_data[2][3] is nan, a missing value; expected a finite weight of at least 0",
        ),
    ):
        with refused(message):
            model.fit(TEXTS, NAMES, validation_data=given, verbose=0)
    np.testing.assert_array_equal(model.classifier.kernel, before)


def _evaluate(model: Any, *parts: Any) -> None:
    for batch in model._feature_dataset(slices(parts).batch(4), None, None, None, False):
        assert batch


@pytest.mark.parametrize(
    ("y", "received"),
    [
        ([1.0, 0.9, 0.0, 1.0], "received 0.9[0-9]* at position 1"),
        ([1.0, 0.0, NAN, 1.0], "received nan at position 2"),
        ([1.0, 0.0, 0.0, float("inf")], "received inf at position 3"),
        ([1, 0, 5, 0], "received 5 at position 2"),
        ([1, -1, 0, 0], "received -1 at position 1"),
        (["positive", "neutral", "negative", "x"], "received neutral at position 1"),
    ],
)
def test_labels_of_a_dataset_are_checked_in_its_graph(y, received):
    message = f"a label is not one of negative, positive, or an index from 0 to 1: {received}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _evaluate(task(TextClassifier), TEXTS, y)


def test_weights_and_rows_of_a_dataset():
    model = task(TextClassifier)
    with pytest.raises(tf.errors.InvalidArgumentError, match="below 0: received -1.* position 2"):
        _evaluate(model, TEXTS, NAMES, [1.0, 1.0, -1.0, 1.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="weight is not a finite number"):
        _evaluate(model, TEXTS, NAMES, [1.0, NAN, 1.0, 1.0])
    for cls in (TextClassifier, TextRegressor):
        with pytest.raises(UserError, match=r"^x yields labels of shape \(None, 2\); expected"):
            _evaluate(task(cls), TEXTS, [[0, 1]] * 4)
    _evaluate(model, TEXTS, [[1], [0], [1], [0]])
    with refused("a score is not a finite number: received strings of shape (None,)"):
        _evaluate(task(TextRegressor), TEXTS, NAMES)


def test_scores_are_finite_numbers():
    model = task(TextRegressor)
    for y in (
        [1, 2.5, True, np.float32(4)],
        np.array([[1], [2.5], [1], [4]]),
        pd.Series([1, 2.5, 1, 4]),
    ):
        assert model.labels_of(y, TEXTS, "y").tolist() == [1.0, 2.5, 1.0, 4.0]
    for wrong, received in (
        (NAN, "nan, a missing value"),
        (float("inf"), "inf, a float"),
        (None, "None, a missing value"),
        ("1.0", "'1.0', a str"),
    ):
        with refused(f"y[1] is {received}; expected a finite number"):
            model.labels_of([1.0, wrong, 2.0, 3.0], TEXTS, "y")


def test_several_labels_are_zeros_and_ones():
    model = task(MultiLabelClassifier, labels=["a", "b"])
    want = [[1, 0], [0, 1], [1, 1], [0, 0]]
    swapped = pd.DataFrame({"b": [0, 1, 1, 0], "a": [1, 0, 1, 0]}, index=[4, 3, 2, 1])
    numbered = pd.DataFrame(want)
    floats, tensor = np.array(want, float), tf.constant(want)
    for y in (want, floats, tensor, np.array(want, bool), swapped, numbered, pd.Series(want)):
        assert model.labels_of(y, TEXTS, "y").tolist() == want
    assert model.labels_in(TEXTS, swapped) == ["b", "a"] and model.labels_in(TEXTS, want) == [0, 1]
    expected = "expected 0 or 1, in a column for each label"
    for y, message in (
        ([[1, 2]], f"y[0][1] is 2, an int; {expected}"),
        ([[1, 0], [0.5, 0]], f"y[1][0] is 0.5, a float; {expected}"),
        ([[1, NAN]], f"y[0][1] is nan, a missing value; {expected}"),
        ([["a"], ["b"]], f"y[0][0] is 'a', a str; {expected}"),
        ([1, 0], "y[0] is 1, an int; expected a row of 0 or 1, in a column for each label"),
        ([[1, 0, 0]], "y has 3 columns; expected 2, one for each of a, b"),
        ([[1, 0], [1]], "y[1] has 1 values; expected 2, as y[0]"),
        (np.array([1, 0]), "y has the shape (2,); expected [N, labels]"),
        (swapped.rename(columns={"b": "c"}), "y has the columns ['c', 'a']; expected a, b"),
    ):
        with refused(message):
            model.labels_of(y, TEXTS, "y")
    with refused(
        "labels are int32 of shape (None, 3); expected zeros and ones of shape [batch, 2]"
    ):
        _evaluate(model, TEXTS, [[1, 0, 0]] * 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"of a, b: received 0.5.* position 1"):
        _evaluate(model, TEXTS, [[1, 0.5]] * 4)


def test_tags_are_one_for_each_word():
    model = task(TokenTagger, labels=["O", "B-a", "I-a"])
    model.compile()
    words, tags = [["good", "film"], ["bad"]], [["B-a", "O"], ["O"]]
    series = pd.Series(words, index=[3, 2]), pd.Series(tags, index=[3, 2])
    want, found = (
        next(iter(model._feature_dataset(*given, None, 2, False)))[1].numpy()
        for given in ((words, tags), series)
    )
    np.testing.assert_array_equal(found, want)
    assert model.evaluate(*series) == model.evaluate(words, tags)
    for method in (model.fit, model.evaluate):
        for y, message in (
            ([["B-a"], ["O"]], "y[0] has 1 values; expected 2, one for each of the words of x[0]"),
            (tags[:1], "y has 1 values; expected 2, one for each of x"),
            ([[1, 0], ["O"]], "y[0][0] is 1, an int; expected a string, one of the tags"),
            (
                [["B-a", None], ["O"]],
                "y[0][1] is None, a missing value; expected a string, one of the tags",
            ),
            (None, "y is None; expected a label for each example of x"),
        ):
            with refused(message):
                method(words, y)
        with refused("sample_weight: sentences are taken without weights"):
            method(words, tags, sample_weight=[1.0, 2.0])
        with refused("x[0] is 'a good film', a str; expected a list of words"):
            method(TEXTS, tags)
    numbers = model._feature_dataset(words, [[1, 0], [0]], None, 2, False)
    np.testing.assert_array_equal(next(iter(numbers))[1], want)
    message = r"^y\[0\]\[1\]: the tag 'B-x' is not one of O, B-a, I-a$"
    with pytest.raises(UserError, match=message):
        model.fit(words, [["O", "B-x"], ["O"]])
    with pytest.raises(
        UserError, match=r"^y\[0\]\[0\]: received the tag 3, expected a name or a num"
    ):
        model.fit(words, [[3, 0], [0]])


def test_the_right_choice_is_one_of_its_example():
    model = task(MultipleChoice)
    x = model.inputs_of((CONTEXTS, CHOICES), "x")
    for y in ([2, 1], [2.0, 1.0], pd.Series([2, 1], index=[5, 4]), np.array([[2], [1]])):
        assert model.labels_of(y, x, "y").tolist() == [2, 1]
    for y, message in (
        ([2, 2], "y[1] is 2, an int; expected the number of a choice, from 0 to 1"),
        ([3, 0], "y[0] is 3, an int; expected the number of a choice, from 0 to 2"),
        ([-1, 0], "y[0] is -1, an int; expected the number of a choice, from 0 to 2"),
        ([0.5, 0], "y[0] is 0.5, a float; expected the number of a choice, from 0 to 2"),
        (["1", "0"], "y[0] is '1', a str; expected the number of a choice, from 0 to 2"),
    ):
        with refused(message):
            model.labels_of(y, x, "y")
    with pytest.raises(tf.errors.InvalidArgumentError, match="choices: received 2 at position 1"):
        _evaluate(model, (CONTEXTS, PADDED), [2, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="choice: received 0.5.* position 0"):
        _evaluate(model, (CONTEXTS, PADDED), [0.5, 1])


def test_scores_of_pairs_are_on_the_models_scale():
    model = task(SentenceEmbedder)
    pairs = (TEXTS, OTHERS[:4])
    assert max_score_of([0.5, 1.0], "y") == 1.0 and max_score_of([4.2, 1.0], "y") == 5.0
    with refused("y has scores up to 6; give max_score, the most possible"):
        max_score_of([6.0], "y")
    with refused("y[0] is 4.2, a float; expected a score from 0 to 1, which is max_score"):
        model.labels_of([4.2, 1, 2, 3], pairs, "y")
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 1, .*: received 4.2"):
        _evaluate(model, pairs, [4.2, 1.0, 2.0, 3.0])
    # As in the data of STS-B, scores above 1 are on a scale of 5.
    model._set_up(pairs, [4.2, 1, 2, 3])
    assert model.max_score == 5.0
    (batch,) = model._feature_dataset(pairs, [4.2, 1, 2, 3], None, 4, False)
    np.testing.assert_allclose(batch[1], [0.84, 0.2, 0.4, 0.6], rtol=1e-6)
    with pytest.raises(UserError, match="^x: has single texts with scores, the loss cosine learns"):
        model._set_up((TEXTS,), [1, 1, 1, 1])


@pytest.mark.slow
def test_class_weight_of_keras_counts_the_classes():
    model = task(TextClassifier)
    model.compile(learning_rate=0.0)
    losses = model.evaluate(TEXTS, NAMES, verbose=0)[0]
    history = model.fit(TEXTS, NAMES, class_weight={0: 1.0, 1: 3.0}, verbose=0).history
    logits = model.raw_outputs(model.encode(TEXTS)).astype(np.float64)
    indices = [small.LABELS.index(name) for name in NAMES]
    own = np.log(np.exp(logits).sum(-1)) - logits[np.arange(4), indices]
    weights = np.array([1.0, 3.0])[indices]
    assert losses == pytest.approx(own.mean(), rel=1e-5)
    assert history["loss"][0] == pytest.approx((own * weights).sum() / weights.sum(), rel=1e-5)
