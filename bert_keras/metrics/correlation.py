"""Correlations of predicted with given scores, as STS-B is scored by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]


def pearson(one: Scores, other: Scores) -> float:
    """Pearson's correlation of two series, `[N]` each; 0 where one of them is constant."""
    first, second = (np.asarray(part, np.float64) for part in (one, other))
    if not len(first):
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    spread = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / spread) if spread > 0 else 0.0


def spearman(one: Scores, other: Scores) -> float:
    """Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank."""
    return pearson(_ranks(one), _ranks(other))


def _ranks(values: Scores) -> npt.NDArray[np.float64]:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[where.reshape(-1)]
