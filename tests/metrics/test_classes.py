"""Scores of each class, and of several labels, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from bert_keras.metrics import classes


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_each_class_equal_scikit_learn(seed):
    # Class 4 neither occurs nor is predicted.
    labels, predictions = np.random.default_rng(seed).integers(0, 4, (2, 30))
    matrix = classes.confusion_matrix(labels, predictions, 5)
    expected = sklearn_metrics.confusion_matrix(labels, predictions, labels=range(5))
    np.testing.assert_array_equal(matrix, expected)
    counts = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    got = classes.per_class([0, "b", "c", "d", "e"], *counts)
    columns = sklearn_metrics.precision_recall_fscore_support(
        labels, predictions, labels=range(5), zero_division=0
    )
    assert list(got) == ["0", "b", "c", "d", "e"]
    for row, values in zip(got.values(), zip(*columns, strict=True), strict=True):
        assert list(row) == ["precision", "recall", "f1", "support"]
        assert list(row.values()) == pytest.approx(values)


@pytest.mark.parametrize("seed", range(5))
def test_several_labels_equal_scikit_learn(seed):
    labels, predictions = np.random.default_rng(seed).integers(0, 2, (2, 25, 4))
    # A label that never occurs, and an example without labels.
    labels[:, 3] = predictions[:, 3] = 0
    labels[0] = predictions[0] = 0

    def f1(average):
        return sklearn_metrics.f1_score(labels, predictions, average=average, zero_division=0)

    assert classes.multi_label_metrics(labels, predictions) == pytest.approx(
        {
            "micro_f1": f1("micro"),
            "macro_f1": f1("macro"),
            "subset_accuracy": sklearn_metrics.accuracy_score(labels, predictions),
        }
    )
    got = classes.per_class(range(4), *classes.label_counts(labels, predictions))
    columns = sklearn_metrics.precision_recall_fscore_support(labels, predictions, zero_division=0)
    for row, values in zip(got.values(), zip(*columns, strict=True), strict=True):
        assert list(row.values()) == pytest.approx(values)


def test_no_examples_score_nothing():
    none = np.zeros((0, 3), int)
    assert set(classes.multi_label_metrics(none, none).values()) == {0.0}
