"""Packed batches: every token in one place, and rows that are nearly full."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.packed_batches import assign_rows, best_row_length, packed_batch
from tests.data.examples_of_length import examples_of

LENGTHS = st.lists(st.integers(1, 24), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(lengths=LENGTHS, row_length=st.integers(24, 50))
def test_rows_are_as_few_as_best_fit_promises(lengths: list[int], row_length: int) -> None:
    rows, starts, places = assign_rows(np.array(lengths), row_length)
    ends = starts + lengths
    assert (starts >= 0).all() and (ends <= row_length).all()
    for row in range(rows.max() + 1):
        own = np.flatnonzero(rows == row)
        order = own[np.argsort(starts[own])]
        # Side by side from the row's beginning, and counted in that order.
        assert starts[order].tolist() == [0, *ends[order][:-1].tolist()]
        assert places[order].tolist() == list(range(len(own)))
    fewest = -(-sum(lengths) // row_length)
    # Any two rows together hold more than one row's worth.
    assert rows.max() + 1 <= max(1, 2 * fewest)


def test_recorded_rows() -> None:
    """A run that resumes later must find the same rows: these numbers may not change."""
    rows, starts, places = assign_rows(np.array([3, 9, 5, 4, 2, 6, 1]), 12)
    # 9 | 6 5 | 4, then 3 beside 9, 2 after 4 and 1 beside 6 5, where it leaves no room.
    assert rows.tolist() == [0, 0, 1, 2, 2, 1, 1]
    assert starts.tolist() == [9, 0, 6, 0, 4, 0, 11]
    assert places.tolist() == [1, 0, 1, 0, 1, 0, 2]


@settings(max_examples=100, deadline=None)
@given(lengths=LENGTHS, data=st.data())
def test_every_token_of_every_example_is_there_once(lengths: list[int], data) -> None:
    examples = examples_of(lengths)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, unique=True))
    labels = np.arange(100, 100 + 3 * len(lengths), dtype=np.int32).reshape(-1, 3)
    features, own_labels, weights = packed_batch(examples, labels, np.array(chosen), 24)
    rows, per_row = features["cls_positions"].shape
    assert own_labels.shape == (rows, per_row, 3) and own_labels.dtype == np.int32
    assert all(value.dtype == np.int32 for value in features.values())
    found = []
    for row in range(rows):
        for place in range(per_row):
            own = features["sequence_ids"][row] == place + 1
            assert weights[row, place] == own.any()
            if not own.any():
                assert features["cls_positions"][row, place] == -1
                assert not own_labels[row, place].any()
                continue
            assert np.flatnonzero(own)[0] == features["cls_positions"][row, place]
            token_ids = features["token_ids"][row, own]
            index = int(np.searchsorted(examples.splits, token_ids[0])) - 1
            found.append(index)
            single = examples.batch(np.array([index]))
            np.testing.assert_array_equal(token_ids, single["token_ids"][0])
            np.testing.assert_array_equal(
                features["segment_ids"][row, own], single["segment_ids"][0]
            )
            assert features["position_ids"][row, own].tolist() == list(range(len(token_ids)))
            np.testing.assert_array_equal(own_labels[row, place], labels[index])
    assert sorted(found) == sorted(chosen)
    padding = features["sequence_ids"] == 0
    np.testing.assert_array_equal(features["padding_mask"], ~padding)
    for name in ("token_ids", "segment_ids", "position_ids"):
        assert not features[name][padding].any()


def test_the_length_of_rows_is_the_one_that_fits_best() -> None:
    lengths = np.array([20] * 30 + [10] * 30)
    # 24 holds one of 20, or two of 10; 40 holds any two of 20, and is full.
    assert best_row_length(lengths, [np.arange(60)]) == 40
    # 64 is full with one example, as is 128 with two: the shorter one.
    assert best_row_length(np.array([64, 64]), [np.arange(2)]) == 64
