"""Pearson and Spearman equal SciPy's, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bert_keras.metrics.correlation import pearson, spearman


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_equal_to_scipy(pairs):
    one, other = np.array(pairs, np.float32).T
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert pearson(one, other) == 0 and spearman(one, other) == 0
        return
    # In float32 SciPy computes in float32.
    wide = one.astype(np.float64), other.astype(np.float64)
    assert pearson(one, other) == pytest.approx(stats.pearsonr(*wide)[0], abs=1e-9)
    assert spearman(one, other) == pytest.approx(stats.spearmanr(*wide)[0], abs=1e-9)


def test_nothing_to_correlate():
    assert pearson(np.zeros(0), np.zeros(0)) == 0 and spearman(np.zeros(0), np.zeros(0)) == 0
