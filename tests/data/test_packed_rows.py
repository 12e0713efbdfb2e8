"""Packed rows: every token once, rows full, pieces within a section."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.packed_rows import SHORTEST_PIECE, SPECIALS, PackedRows, plan_rows
from tests.data.corpora import window_of

SECTIONS = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=8), min_size=1, max_size=12)


def window_with(sections: list[list[int]]):
    return window_of(
        [(n, [[0] * size for size in section]) for n, section in enumerate(sections)], words=False
    )


@settings(max_examples=200, deadline=None)
@given(SECTIONS, st.integers(5, 40), st.integers(0, 9))
def test_every_token_is_in_one_piece_and_rows_are_full(
    sections: list[list[int]], seq_length: int, seed: int
) -> None:
    window = window_with(sections)
    rows = plan_rows(window, seq_length, seed, 0, 0)
    seen = np.concatenate(
        [np.arange(a, a + n) for a, n in zip(rows.starts, rows.lengths, strict=True)]
    )
    assert sorted(seen.tolist()) == list(range(len(window.tokens)))
    bounds = window.sentences[window.sections]
    assert (rows.lengths >= 1).all()
    assert (
        np.searchsorted(bounds, rows.starts, "right")
        == np.searchsorted(bounds, rows.starts + rows.lengths - 1, "right")
    ).all(), "a piece reaches over a section's end"
    used = [
        (rows.lengths[a:b] + SPECIALS).sum()
        for a, b in zip(rows.splits[:-1], rows.splits[1:], strict=True)
    ]
    assert max(used) <= seq_length
    assert all(seq_length - each < SHORTEST_PIECE + SPECIALS for each in used[:-1])
    assert rows.padding(seq_length) == pytest.approx(1 - sum(used) / seq_length / len(used))


def test_a_section_goes_on_in_the_next_row() -> None:
    rows = plan_rows(window_with([[30]]), 12, 0, 0, 0)
    assert rows.starts.tolist() == [0, 10, 20]
    assert rows.lengths.tolist() == [10, 10, 10]
    assert rows.splits.tolist() == [0, 1, 2, 3]


def test_documents_of_common_lengths_leave_hardly_any_padding() -> None:
    random = np.random.default_rng(0)
    window = window_with([[int(n)] for n in random.integers(20, 600, 4000)])
    assert plan_rows(window, 128, 0, 0, 0).padding(128) < 0.005


def test_sections_come_in_another_order_each_epoch() -> None:
    window = window_with([[9]] * 40)
    orders = {tuple(plan_rows(window, 20, 0, epoch, 0).starts.tolist()) for epoch in range(5)}
    assert len(orders) == 5


def test_rows_can_be_taken_in_any_order() -> None:
    rows = PackedRows(np.array([0, 2, 3, 6]), np.arange(6) * 10, np.arange(6) + 1)
    taken = rows.take(np.array([2, 0]))
    assert taken.splits.tolist() == [0, 3, 5]
    assert taken.starts.tolist() == [30, 40, 50, 0, 10]
    assert taken.lengths.tolist() == [4, 5, 6, 1, 2]
