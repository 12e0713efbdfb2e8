"""Random numbers that are a pure function of what they are for.

Nothing here has a state: a number is computed from a key (the seed, the purpose, the epoch …) and
a counter (which example, which token). So the millionth example needs none of those before it,
and it comes out the same in any thread, worker or process.

The bits are the outputs of SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom
Number Generators"), whose n-th output can be computed on its own: a fixed step times n, added to
the key and mixed.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Bits: TypeAlias = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_DOUBLE_BITS = 53
_ALL = 2**64 - 1


class Purpose(enum.IntEnum):
    """What numbers are drawn for; two purposes never share any."""

    BLOCK_ORDER = 1
    PAIRS = 2
    TRUNCATION = 3
    EXAMPLE_ORDER = 4
    SECTION_ORDER = 5
    MASK_CHOICE = 6
    MASK_ACTION = 7
    RECORD_ORDER = 8


def key(seed: int, *parts: int) -> np.uint64:
    """A key made of whole numbers: another seed, purpose, epoch or window gives another."""
    value = np.array([seed & _ALL], np.uint64)
    for part in (len(parts), *parts):
        value = bits(value, np.uint64(part & _ALL))
    return value[0]


def bits(keys: Bits | np.uint64, *counters: npt.ArrayLike) -> Bits:
    """64 random bits for each tuple of key and counters.

    Args:
        keys: uint64.
        counters: whole numbers from 0; keys and counters broadcast against each other.

    Returns:
        uint64, of the shape that they broadcast to.
    """
    value = np.asarray(keys, np.uint64)
    for counter in counters:
        steps = np.asarray(counter).astype(np.uint64)
        # Arrays wrap around in silence where NumPy's scalars would warn.
        with np.errstate(over="ignore"):
            value = _mix(value + (steps + np.uint64(1)) * _STEP)
    return value


def _mix(value: Bits) -> Bits:
    value = (value ^ (value >> _SHIFTS[0])) * _FACTORS[0]
    value = (value ^ (value >> _SHIFTS[1])) * _FACTORS[1]
    return value ^ (value >> _SHIFTS[2])


def uniform(random: Bits) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), from the upper 53 bits."""
    return (random >> np.uint64(64 - _DOUBLE_BITS)).astype(np.float64) * 2.0**-_DOUBLE_BITS


def below(random: Bits, limits: int | npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Whole numbers in [0, limit); no value is favoured by more than limit / 2**53."""
    return (uniform(random) * limits).astype(np.int64)


def permutation(order_key: np.uint64, count: int) -> npt.NDArray[np.int64]:
    """A random order of 0 … count - 1."""
    return np.argsort(bits(order_key, np.arange(count)), kind="stable")


def coins(coin_keys: Bits, counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How many of `counts` fair coins show heads; both arguments and the result are `[N]`."""
    heads = np.zeros(len(counts), np.int64)
    rows = np.flatnonzero(counts > 0)
    word = 0
    while len(rows):
        left = np.minimum(counts[rows] - 64 * word, 64)
        random = bits(coin_keys[rows], word) >> (64 - left).astype(np.uint64)
        ones = np.unpackbits(random.view(np.uint8).reshape(-1, 8), axis=1)
        heads[rows] += ones.sum(axis=1, dtype=np.int64)
        word += 1
        rows = rows[counts[rows] > 64 * word]
    return heads


def distinct(row_keys: Bits, wanted: npt.NDArray[np.bool_]) -> Bits:
    """Random numbers to sort by, `[b, n]`: no two alike in a row, those not wanted the largest.

    Args:
        row_keys: uint64 `[b]`.
        wanted: bool `[b, n]`, n at most 65,536.
    """
    columns = np.arange(wanted.shape[1], dtype=np.uint64)
    random = bits(row_keys[:, None], columns) >> np.uint64(16) << np.uint64(16)
    return np.where(wanted, random, np.uint64(_ALL - 0xFFFF)) | columns
