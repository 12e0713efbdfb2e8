"""Whole words and n-grams: never cut, never over the budget, shorter ones more often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data import random_bits
from bert_keras.data.word_spans import choose_spans


def words_of(row: str) -> tuple[np.ndarray, np.ndarray]:
    """Candidates and starts: "w" starts a word, "-" goes on, "." is no candidate."""
    marks = np.array(list(row))
    return marks != ".", marks == "w"


ROWS = st.lists(st.sampled_from(["w", "w", "w-", "w--", "w-----", "."]), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
def test_spans_are_whole_words_within_the_budget(
    row: list[str], budget: int, max_words: int, seed: int
) -> None:
    candidates, starts = words_of("".join(row))
    keys = random_bits.bits(random_bits.key(seed), np.arange(8))
    chosen, owners = choose_spans(
        np.tile(candidates, (8, 1)), np.tile(starts, (8, 1)), np.full(8, budget), max_words, keys
    )
    bounds = np.flatnonzero(starts | ~candidates).tolist() + [len(starts)]
    words = [(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if candidates[a]]
    for n in range(8):
        assert not chosen[n][~candidates].any()
        left = budget - chosen[n].sum()
        assert left >= 0
        for begin, end in words:
            assert chosen[n, begin:end].all() or not chosen[n, begin:end].any(), "a word was cut"
            if not chosen[n, begin]:
                assert end - begin > left, "a word that fits was left out"
        for owner in set(owners[n][chosen[n]].tolist()):
            span = np.flatnonzero(chosen[n] & (owners[n] == owner))
            assert span[0] == owner and starts[owner]
            assert (np.diff(span) == 1).all() and starts[span].sum() <= max_words


def test_sizes_have_weight_one_over_n() -> None:
    count, length = 6000, 400
    every = np.ones((count, length), bool)
    keys = random_bits.bits(random_bits.key(0), np.arange(count))
    chosen, owners = choose_spans(every, every, np.full(count, 3), 3, keys)
    spans = np.array([len(set(owners[n][chosen[n]].tolist())) for n in range(count)])
    assert (chosen.sum(axis=1) == 3).all()
    # One of 3; 2 and 1 in either order (a 3 no longer fits after the 1); three of 1.
    shares = np.bincount(spans, minlength=4)[1:] / count
    expected = [2 / 11, 3 / 11 + 6 / 11 / 3, 6 / 11 * 2 / 3]
    assert shares == pytest.approx(expected, abs=0.025)


def test_words_come_in_random_order() -> None:
    candidates, starts = words_of("." + "w-" * 10 + ".")
    keys = random_bits.bits(random_bits.key(0), np.arange(5000))
    chosen, _ = choose_spans(
        np.tile(candidates, (5000, 1)), np.tile(starts, (5000, 1)), np.full(5000, 4), 1, keys
    )
    counts = chosen.sum(axis=0)[1:21:2]
    assert counts.sum() == 10_000 and counts.min() > 900 and counts.max() < 1100


def test_a_row_without_words_chooses_nothing() -> None:
    candidates, starts = words_of("....")
    keys = random_bits.bits(random_bits.key(0), np.arange(1))
    chosen, _ = choose_spans(candidates[None], starts[None], np.array([3]), 3, keys)
    assert not chosen.any()
