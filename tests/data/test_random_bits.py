"""Random numbers: the published generator, in range, without bias, different for each purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_keras.data import random_bits
from bert_keras.data.random_bits import Purpose

KEYS = random_bits.bits(random_bits.key(1), np.arange(20_000))


def test_bits_are_those_of_splitmix64() -> None:
    # The first outputs for seed 0, as any implementation of the paper gives them.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert random_bits.bits(np.uint64(0), np.arange(3)).tolist() == expected


def test_counters_broadcast_and_each_counts() -> None:
    grid = random_bits.bits(random_bits.key(5), np.arange(30)[:, None], np.arange(40))
    assert grid.shape == (30, 40)
    assert len(np.unique(grid)) == grid.size
    assert grid[7, 9] == random_bits.bits(random_bits.key(5), 7, 9)


def test_keys_differ_by_every_part_and_take_any_number() -> None:
    parts = [(0,), (1,), (-1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (2**63,), (2**63 + 1,)]
    assert len({int(random_bits.key(*each)) for each in parts}) == len(parts)
    purposes = {int(random_bits.key(3, purpose, 0)) for purpose in Purpose}
    assert len(purposes) == len(Purpose)


@given(st.integers(0, 2**40), st.integers(1, 2**31))
def test_below_stays_below(start: int, limit: int) -> None:
    numbers = random_bits.below(random_bits.bits(np.uint64(start), np.arange(100)), limit)
    assert numbers.min() >= 0 and numbers.max() < limit


def test_the_largest_bits_stay_below() -> None:
    most = np.array([2**64 - 1], np.uint64)
    assert random_bits.uniform(most) < 1
    for limit in (1, 2, 3, 30_522, 2**31 - 1):
        assert random_bits.below(most, limit) == limit - 1


def test_below_favours_no_value() -> None:
    counts = np.bincount(random_bits.below(KEYS, 7), minlength=7)
    expected = len(KEYS) / 7
    assert ((counts - expected) ** 2 / expected).sum() < 30  # chi-square, 6 degrees


def test_a_permutation_holds_each_number_once() -> None:
    order = random_bits.permutation(random_bits.key(2), 1000)
    assert sorted(order) == list(range(1000))
    assert (order != random_bits.permutation(random_bits.key(3), 1000)).any()


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_coins_are_fair(count: int) -> None:
    heads = random_bits.coins(KEYS, np.full(len(KEYS), count))
    assert heads.min() >= 0 and heads.max() <= count
    assert abs(heads.mean() - count / 2) < 5 * np.sqrt(count / 4 / len(KEYS))
    assert heads.var() == pytest.approx(count / 4, rel=0.06)


def test_coins_of_different_counts_do_not_disturb_each_other() -> None:
    counts = np.array([0, 130, 5, 0, 64, 1])
    together = random_bits.coins(KEYS[:6], counts)
    alone = [random_bits.coins(KEYS[n : n + 1], counts[n : n + 1])[0] for n in range(6)]
    assert together.tolist() == alone
    assert together[0] == together[3] == 0


def test_numbers_to_sort_by_put_the_unwanted_last() -> None:
    wanted = np.arange(50) % 3 == 0
    order = random_bits.distinct(KEYS[:20], np.tile(wanted, (20, 1)))
    assert all(len(set(row)) == 50 for row in order.tolist())
    assert order[:, wanted].max() < order[:, ~wanted].min()
    assert len({tuple(np.argsort(row)) for row in order}) == 20
