"""Scores of each class, from counts of right and wrong predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]
# Zeros and ones.
Flags = npt.NDArray[Any]


def confusion_matrix(labels: Ints, predictions: Ints, num_classes: int) -> npt.NDArray[np.int64]:
    """How often each class, down, was predicted as each, across: `[classes, classes]`."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def ratio(part: Any, whole: Any) -> npt.NDArray[np.float64]:
    """`part / whole`, 0 where there is nothing."""
    whole = np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def f1_scores(hits: Any, predicted: Any, actual: Any) -> npt.NDArray[np.float64]:
    """F1 from the numbers of right, of all predicted and of all gold ones; 0 for none at all."""
    return ratio(2 * np.asarray(hits), np.asarray(predicted) + np.asarray(actual))


def per_class(
    names: Sequence[Any], hits: Ints, predicted: Ints, actual: Ints
) -> dict[str, dict[str, float]]:
    """`precision`, `recall`, `f1` and `support` (gold examples) of each class, by its name.

    Args:
        names: of the classes.
        hits, predicted, actual: of each class, `[classes]`: examples that were rightly given
            it, that were given it, and that have it.
    """
    columns = {
        "precision": ratio(hits, predicted),
        "recall": ratio(hits, actual),
        "f1": f1_scores(hits, predicted, actual),
        "support": actual,
    }
    return {
        str(name): {column: values[index].item() for column, values in columns.items()}
        for index, name in enumerate(names)
    }


def multi_label_metrics(labels: Flags, predictions: Flags) -> dict[str, float]:
    """`micro_f1` of all decisions, `macro_f1`, the mean of the labels', and `subset_accuracy`,
    the share of examples with exactly the right labels; of zeros and ones `[N, labels]`."""
    hits, predicted, actual = label_counts(labels, predictions)
    subset = np.all(labels == predictions, axis=1)
    return {
        "micro_f1": float(f1_scores(hits.sum(), predicted.sum(), actual.sum())),
        "macro_f1": float(f1_scores(hits, predicted, actual).mean()),
        "subset_accuracy": float(subset.mean()) if len(subset) else 0.0,
    }


def label_counts(labels: Flags, predictions: Flags) -> tuple[Ints, Ints, Ints]:
    """Of each label: rightly predicted, predicted and gold examples; of `[N, labels]`."""
    gold, found = labels.astype(bool), predictions.astype(bool)
    return (gold & found).sum(axis=0), found.sum(axis=0), gold.sum(axis=0)
