"""Metrics of the GLUE tasks (Wang et al. 2018) that classify."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bert_keras.metrics.classes import confusion_matrix

Labels = npt.NDArray[np.integer]


def accuracy(labels: Labels, predictions: Labels) -> float:
    """Share of predictions that are right; 0 for no examples."""
    return float(np.mean(labels == predictions)) if len(labels) else 0.0


def mean_cross_entropy(labels: Labels, logits: npt.NDArray[np.floating]) -> float:
    """Mean softmax cross-entropy of logits `[N, classes]`, in double precision; 0 for N = 0."""
    if not len(labels):
        return 0.0
    wide = logits.astype(np.float64)
    top = wide.max(axis=-1, keepdims=True)
    log_sums = np.log(np.exp(wide - top).sum(axis=-1)) + top[:, 0]
    return float((log_sums - wide[np.arange(len(labels)), labels]).mean())


def binary_counts(labels: Labels, predictions: Labels) -> tuple[int, int, int]:
    """True positives, false positives and false negatives of class 1."""
    positive, predicted = labels == 1, predictions == 1
    return (
        int(np.sum(positive & predicted)),
        int(np.sum(~positive & predicted)),
        int(np.sum(positive & ~predicted)),
    )


def precision_recall_f1(labels: Labels, predictions: Labels) -> tuple[float, float, float]:
    """Precision, recall and F1 of class 1; 0 where a denominator is 0."""
    hits, false_alarms, misses = binary_counts(labels, predictions)
    precision = hits / (hits + false_alarms) if hits else 0.0
    recall = hits / (hits + misses) if hits else 0.0
    f1 = 2 * hits / (2 * hits + false_alarms + misses) if hits else 0.0
    return precision, recall, f1


def matthews_correlation(labels: Labels, predictions: Labels, num_classes: int) -> float:
    """Matthews correlation of any number of classes (Gorodkin 2004); 0 where undefined."""
    table = confusion_matrix(labels, predictions, num_classes).astype(np.float64)
    actual, predicted, total = table.sum(axis=1), table.sum(axis=0), table.sum()
    covariance = np.trace(table) * total - actual @ predicted
    spread = (total**2 - actual @ actual) * (total**2 - predicted @ predicted)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def classification_metrics(
    labels: Labels, predictions: Labels, num_classes: int
) -> dict[str, float]:
    """Accuracy and Matthews correlation; for two classes also precision, recall and F1 of
    the second. Class indices, `[N]` each; labels from `num_classes` on are never predicted."""
    metrics = {"accuracy": accuracy(labels, predictions)}
    if num_classes == 2:
        names = ("precision", "recall", "f1")
        metrics.update(zip(names, precision_recall_f1(labels, predictions), strict=True))
    width = max(num_classes, int(labels.max(initial=0)) + 1)
    metrics["matthews_correlation"] = matthews_correlation(labels, predictions, width)
    return metrics
