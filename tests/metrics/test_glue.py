"""GLUE's metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from bert_keras.metrics import glue


@pytest.mark.parametrize("seed", range(5))
def test_binary_metrics_equal_scikit_learn(seed):
    random = np.random.default_rng(seed)
    labels, predictions = random.integers(0, 2, (2, 50))
    got = glue.classification_metrics(labels, predictions, 2)
    assert got == pytest.approx(
        {
            "accuracy": sklearn_metrics.accuracy_score(labels, predictions),
            "precision": sklearn_metrics.precision_score(labels, predictions),
            "recall": sklearn_metrics.recall_score(labels, predictions),
            "f1": sklearn_metrics.f1_score(labels, predictions),
            "matthews_correlation": sklearn_metrics.matthews_corrcoef(labels, predictions),
        }
    )


def test_multi_class_matthews_equals_scikit_learn():
    labels, predictions = np.random.default_rng(0).integers(0, 4, (2, 80))
    got = glue.classification_metrics(labels, predictions, 4)
    expected = sklearn_metrics.matthews_corrcoef(labels, predictions)
    assert got["matthews_correlation"] == pytest.approx(expected)
    assert set(got) == {"accuracy", "matthews_correlation"}


@pytest.mark.parametrize("prediction", [0, 1])
def test_undefined_ratios_are_zero(prediction):
    labels = np.full(5, 1 - prediction)
    got = glue.classification_metrics(labels, np.full(5, prediction), 2)
    assert set(got.values()) == {0.0}
    assert glue.accuracy(np.zeros(0, int), np.zeros(0, int)) == 0.0
