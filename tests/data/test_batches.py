"""The order of an epoch: a permutation, repeatable, that puts like lengths together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.batches import epoch_order, token_budget_batches
from bert_keras.data.encoded import rounded_length


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), max_size=120),
    batch_size=st.integers(1, 9),
    seed=st.integers(-3, 2**63),
    epoch=st.integers(0, 5),
    group=st.integers(0, 4),
)
def test_order_is_a_pure_permutation(
    lengths: list[int], batch_size: int, seed: int, epoch: int, group: int
) -> None:
    arguments = (len(lengths), lengths, batch_size, seed, epoch, group)
    order = epoch_order(*arguments)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(len(lengths)))
    np.testing.assert_array_equal(order, epoch_order(*arguments))
    if group and lengths:
        assert max(lengths) in [lengths[i] for i in order[:batch_size]]


def test_lengths_are_rounded_to_sixteen_an_octave() -> None:
    lengths = np.arange(1, 4097)
    rounded = np.array([rounded_length(int(length)) for length in lengths])
    assert np.all(rounded >= lengths) and np.all(rounded * 16 <= lengths * 17)
    for octave in (32, 64, 128, 2048):
        assert len(set(rounded[octave - 1 : 2 * octave - 1])) == 17
    assert [rounded_length(n) for n in (1, 31, 33, 100, 129, 511)] == [1, 31, 34, 100, 136, 512]


def _padding(order: np.ndarray, lengths: np.ndarray, batch_size: int) -> int:
    batches = [lengths[order[i : i + batch_size]] for i in range(0, len(order), batch_size)]
    return sum(int(batch.max() * len(batch) - batch.sum()) for batch in batches)


def test_grouping_cuts_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 4001)
    grouped = _padding(epoch_order(4001, lengths, 32, 1, 0, 50), lengths, 32)
    plain = _padding(epoch_order(4001, lengths, 32, 1, 0, 0), lengths, 32)
    assert grouped < plain / 10


def test_every_batch_is_sorted_inside_a_group() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 96)
    order = epoch_order(96, lengths, 8, 5, 2, group=100)
    batches = lengths[order].reshape(12, 8)
    # One group holds all examples, so the batches' ranges of length do not overlap.
    ranges = sorted((int(batch.min()), int(batch.max())) for batch in batches)
    assert all(before[1] <= after[0] for before, after in zip(ranges, ranges[1:], strict=False))
    assert [batch.max() for batch in batches] != sorted((b.max() for b in batches), reverse=True)


@pytest.mark.parametrize("group", [0, 2])
def test_seed_and_epoch_change_the_order(group: int) -> None:
    lengths = np.arange(200) % 17

    def order(seed: int, epoch: int) -> list[int]:
        return epoch_order(200, lengths, 8, seed, epoch, group).tolist()

    different = {tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(different) == 16


def test_recorded_order() -> None:
    """A run that resumes later must find the same order: these numbers may not change."""
    assert epoch_order(8, [], 2, seed=3, epoch=1, group=0).tolist() == [0, 7, 6, 1, 5, 3, 2, 4]
    lengths = [5, 1, 9, 2, 7, 3, 8, 4]
    order = epoch_order(8, lengths, 2, seed=3, epoch=1, group=2)
    assert order.tolist() == [2, 6, 7, 1, 4, 0, 5, 3]


def test_a_short_last_batch_stays_last() -> None:
    lengths = np.arange(1, 22)
    order = epoch_order(21, lengths, 4, 0, 0, group=1)
    assert len(order) == 21
    assert 20 in order[:4]
    for start in range(0, 20, 4):
        batch = lengths[order[start : start + 4]]
        assert (np.diff(batch) <= 0).all()


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), max_size=120),
    batch_tokens=st.integers(1, 300),
    batch_size=st.none() | st.integers(1, 9),
    seed=st.integers(-3, 2**63),
    epoch=st.integers(0, 5),
    group=st.integers(1, 4),
)
def test_a_budget_holds_as_much_as_fits(
    lengths: list[int],
    batch_tokens: int,
    batch_size: int | None,
    seed: int,
    epoch: int,
    group: int,
) -> None:
    arguments = (lengths, batch_tokens, seed, epoch, batch_size, group)
    batches = token_budget_batches(*arguments)
    flat = [index for batch in batches for index in batch.tolist()]
    assert sorted(flat) == list(range(len(lengths)))
    again = token_budget_batches(*arguments)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or longest * len(batch) <= batch_tokens
        assert len(batch) <= (batch_size or len(lengths))
    if lengths:
        assert max(lengths) in [lengths[index] for index in batches[0]]


def test_a_budget_leaves_little_padding_and_few_small_batches() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 4001)
    batches = token_budget_batches(lengths, 1600, 1, 0)
    positions = [int(lengths[batch].max()) * len(batch) for batch in batches]
    assert lengths.sum() > 0.93 * sum(positions)
    # Only what is left at the end may be small.
    assert sorted(positions)[1] > 1600 * 0.9
    assert positions != sorted(positions, reverse=True)


def test_a_budget_changes_with_seed_and_epoch() -> None:
    lengths = np.arange(200) % 17
    different = {
        tuple(np.concatenate(token_budget_batches(lengths, 64, seed, epoch, group=2)).tolist())
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(different) == 16


def test_recorded_budget() -> None:
    """A run that resumes later must find the same batches: these numbers may not change."""
    lengths = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
    batches = token_budget_batches(lengths, 12, seed=3, epoch=1, group=2)
    expected = [[5], [1, 8], [7, 10], [6, 3], [11], [2, 9, 0], [4]]
    assert [batch.tolist() for batch in batches] == expected
