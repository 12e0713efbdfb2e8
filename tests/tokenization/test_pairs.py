"""Truncation and packing."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.tokenization.pairs import Specials, pack, truncated_lengths

SPECIALS = Specials(cls=2, sep=3, pad=0)
LENGTHS = st.integers(0, 40)


@given(st.lists(st.tuples(LENGTHS, LENGTHS), min_size=1, max_size=20), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_truncation_pops_like_google(oracle: Any, sizes: list, budget: int) -> None:
    first, second = zip(*sizes, strict=True)
    kept = truncated_lengths(tf.constant(first), tf.constant(second), budget)
    expected = [
        [len(part) for part in oracle.truncate(range(a), range(b), budget)] for a, b in sizes
    ]
    assert tf.stack(kept, axis=1).numpy().tolist() == expected


def packed(rows: list[list[int]], **options: Any) -> dict[str, list]:
    ragged = tf.ragged.constant(rows, tf.int32, ragged_rank=1)
    features = pack(ragged.values, ragged.row_splits, specials=SPECIALS, **options)
    assert all(value.dtype == tf.int32 for value in features.values())
    return {name: value.numpy().tolist() for name, value in features.items()}


def test_single_rows() -> None:
    assert packed([[7, 8, 9], [], [5]], paired=False, max_length=4, pad_to=None) == {
        "token_ids": [[2, 7, 8, 3], [2, 3, 0, 0], [2, 5, 3, 0]],
        "segment_ids": [[0, 0, 0, 0]] * 3,
        "padding_mask": [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]],
    }


def test_a_padding_token_inside_a_row_is_no_padding() -> None:
    features = packed([[7, 0], [0]], paired=False, max_length=4, pad_to=None)
    assert features["token_ids"] == [[2, 7, 0, 3], [2, 0, 3, 0]]
    assert features["padding_mask"] == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_pairs() -> None:
    rows = [[7, 8, 9], [5], [], [6, 6], [4, 4, 4], []]
    assert packed(rows, paired=True, max_length=7, pad_to=8) == {
        "token_ids": [
            [2, 7, 8, 3, 6, 6, 3, 0],
            [2, 5, 3, 4, 4, 4, 3, 0],
            [2, 3, 3, 0, 0, 0, 0, 0],
        ],
        "segment_ids": [[0] * 4 + [1] * 3 + [0], [0] * 3 + [1] * 4 + [0], [0, 0, 1] + [0] * 5],
        "padding_mask": [[1] * 7 + [0], [1] * 7 + [0], [1] * 3 + [0] * 5],
    }


def test_no_rows_and_no_tokens() -> None:
    assert packed([], paired=False, max_length=8, pad_to=None)["token_ids"] == []
    assert packed([], paired=True, max_length=8, pad_to=5)["token_ids"] == []
    assert packed([[]], paired=False, max_length=8, pad_to=None)["token_ids"] == [[2, 3]]
