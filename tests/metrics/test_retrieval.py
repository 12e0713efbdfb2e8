"""Ranks, losses and neighbours equal those of plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from bert_keras.metrics import retrieval
from bert_keras.metrics.retrieval import NearestRows, ranking_metrics, unit_rows


def _vectors(seed, count, width=5):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_ranking_metrics_by_hand():
    candidates = np.eye(3, dtype=np.float32)
    queries = np.array([[3, 2, 1], [3, 2, 1], [3, 2, 1]], np.float32)
    found = ranking_metrics(queries, candidates, np.arange(3), np.arange(3), scale=2)
    assert found["recall@1"] == pytest.approx(1 / 3)
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    logits = 2 * np.array([3, 2, 1]) / np.sqrt(14)
    assert found["loss"] == pytest.approx(np.log(np.exp(logits).sum()) - logits.mean(), rel=1e-6)


def test_the_same_text_twice_is_right_both_times():
    candidates = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    queries = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert ranking_metrics(queries, candidates, np.arange(3), np.array([0, 0, 1]), 20)["mrr"] == 1
    apart = ranking_metrics(queries, candidates, np.arange(3), np.arange(3), 20)
    assert apart["recall@1"] == pytest.approx(1 / 3)


def test_a_model_that_maps_all_to_one_vector_finds_nothing():
    same = np.ones((4, 3), np.float32)
    found = ranking_metrics(same, same, np.arange(4), np.arange(4), 20)
    assert found["recall@1"] == 0 and found["mrr"] == 0.25


def test_ranking_in_parts_is_ranking_at_once(monkeypatch):
    arguments = _vectors(0, 30), _vectors(1, 40), np.arange(30), np.arange(40), 20.0
    whole = ranking_metrics(*arguments)
    monkeypatch.setattr(retrieval, "_QUERIES", 7)
    assert ranking_metrics(*arguments) == pytest.approx(whole)


@pytest.mark.parametrize("block", [1, 6, 100])
def test_nearest_rows_are_those_of_a_full_sort(block, monkeypatch):
    monkeypatch.setattr(retrieval, "_QUERIES", 3)
    queries, corpus = _vectors(2, 8), _vectors(3, 50)
    nearest = NearestRows(queries, 4)
    for start in range(0, len(corpus), block):
        nearest.add(corpus[start : start + block])
    cosines = unit_rows(queries) @ unit_rows(corpus).T
    expected = np.argsort(-cosines, axis=1)[:, :4]
    np.testing.assert_array_equal(nearest.rows, expected)
    np.testing.assert_allclose(nearest.scores, np.take_along_axis(cosines, expected, 1), atol=1e-6)


def test_fewer_rows_than_asked_for_and_no_queries():
    nearest = NearestRows(_vectors(4, 2), 9)
    nearest.add(_vectors(5, 3))
    assert nearest.rows.shape == (2, 3)
    none = NearestRows(_vectors(4, 0), 9)
    none.add(_vectors(5, 3))
    assert len(none.rows) == 0
    assert np.isfinite(unit_rows(np.zeros((1, 3), np.float32))).all()
