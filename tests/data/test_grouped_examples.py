"""Batches of examples of several rows: every row in its place, the rest padding."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bert_keras.data.encoded import EncodedExamples
from bert_keras.data.grouped_examples import GroupedExamples, group_splits, padded_groups


def _examples(groups: list[list[int]]) -> GroupedExamples:
    """Rows of these lengths; token n of all is the number n + 1."""
    lengths = [length for group in groups for length in group]
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.int32)
    firsts = np.array([1] * len(lengths), np.int32)
    inputs = EncodedExamples(tokens, group_splits(lengths), firsts)
    return GroupedExamples(inputs, group_splits([len(g) for g in groups]), np.arange(len(groups)))


_GROUPS = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=6)


@given(_GROUPS, st.randoms(use_true_random=False))
def test_every_row_is_in_its_place(groups, random):
    examples = _examples(groups)
    indices = np.array(random.choices(range(len(groups)), k=3))
    features, labels = examples.batch(indices)
    assert labels.tolist() == indices.tolist()
    expected_shape = (
        3,
        max(len(groups[i]) for i in indices),
        max(max(groups[i]) for i in indices),
    )
    assert features["token_ids"].shape == expected_shape
    starts = examples.inputs.splits
    for place, index in enumerate(indices):
        for row in range(expected_shape[1]):
            length = groups[index][row] if row < len(groups[index]) else 0
            first = int(starts[examples.splits[index] + row]) + 1 if length else 0
            ids = [*range(first, first + length)] + [0] * (expected_shape[2] - length)
            assert features["token_ids"][place, row].tolist() == ids
            assert features["padding_mask"][place, row].sum() == length
            assert features["segment_ids"][place, row].sum() == max(length - 1, 0)
    for name, spec in examples.spec()[0].items():
        assert features[name].dtype == spec.dtype and features[name].ndim == spec.shape.rank


def test_shapes_are_known_before_and_may_be_rounded():
    examples = _examples([[33], [1, 40], [2, 3, 5], [7] * 4])
    for indices, length in (([0], 34), ([1, 0], 40), ([2, 3], 7), ([3, 1, 2], 40)):
        for rounded in (False, True):
            features, _ = examples.batch(np.array(indices), rounded)
            assert features["token_ids"].shape == examples.shape(np.array(indices), rounded)
        assert features["token_ids"].shape[2] == length


def test_lengths_count_the_padding_inside_a_group():
    assert _examples([[2, 5], [3], [1, 1, 1]]).lengths.tolist() == [10, 3, 3]


def test_padded_groups():
    values = padded_groups(np.array([1.0, 2, 3], np.float32), group_splits([1, 2]), -9)
    np.testing.assert_array_equal(values, [[1, -9], [2, 3]])
    assert padded_groups(np.zeros(0, np.float32), group_splits([]), -9).shape == (0, 0)
