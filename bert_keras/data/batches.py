"""Which examples each batch of an epoch holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Lengths: TypeAlias = Sequence[int] | npt.NDArray[np.integer]


def _generator(seed: int, epoch: int) -> np.random.Generator:
    key = np.array([seed % 2**64, epoch % 2**64], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def _put_longest_first(order: Ints, lengths: Ints) -> None:
    longest = int(np.argmax(lengths[order]))
    order[[0, longest]] = order[[longest, 0]]


def epoch_order(
    num_examples: int,
    lengths: Lengths,
    batch_size: int,
    seed: int,
    epoch: int,
    group: int = 50,
) -> Ints:
    """A shuffled order whose consecutive batches hold examples of similar length.

    The examples are shuffled and cut into groups of `group` batches; each group is sorted by
    length, longest first, and cut into batches, and the batches of all groups are shuffled.
    The batch with the longest example comes first, so that a run that does not fit into memory
    fails at once; a last batch that is not full stays last. The order depends on the arguments
    alone, so a run that resumes in the middle of an epoch finds its place again.

    Args:
        num_examples: N.
        lengths: N lengths, in any unit; not looked at if `group` is 0.
        batch_size: examples a batch.
        seed: any whole number; another seed gives another order.
        epoch: from 0; another epoch gives another order.
        group: batches sorted together; 0 shuffles without regard to length.

    Returns:
        int64 [N], a permutation of 0 … N-1.
    """
    generator = _generator(seed, epoch)
    order = generator.permutation(num_examples).astype(np.int64)
    if not group or not num_examples:
        return order
    sizes: Ints = np.asarray(lengths, np.int64)
    _put_longest_first(order, sizes)
    for start in range(0, num_examples, group * batch_size):
        part = order[start : start + group * batch_size]
        order[start : start + len(part)] = part[np.argsort(-sizes[part], kind="stable")]
    full = num_examples // batch_size
    if full < 2:
        return order
    batches = order[: full * batch_size].reshape(full, batch_size)
    shuffled = batches[1:][generator.permutation(full - 1)]
    return np.concatenate([batches[0], shuffled.ravel(), order[full * batch_size :]])


def token_budget_batches(
    lengths: Lengths,
    batch_tokens: int,
    seed: int,
    epoch: int,
    batch_size: int | None = None,
    group: int = 50,
) -> list[Ints]:
    """Batches of similar length that hold as many examples as fit into a number of tokens.

    Shuffled and sorted in groups as by `epoch_order`, the batch with the longest example first.
    The batches depend on the arguments alone.

    Args:
        lengths: N lengths in tokens.
        batch_tokens: most tokens of a batch: its examples times the longest of them. An example
            that is longer than that is a batch of its own.
        seed, epoch: as in `epoch_order`.
        batch_size: most examples of a batch; None sets no limit.
        group: batches, of average size, sorted together.

    Returns:
        Ints of examples, batch by batch; each of 0 … N-1 is in one batch.
    """
    generator = _generator(seed, epoch)
    sizes: Ints = np.maximum(np.asarray(lengths, np.int64), 1)
    order = generator.permutation(len(sizes)).astype(np.int64)
    if not len(order):
        return []
    _put_longest_first(order, sizes)
    limit = len(order) if batch_size is None else batch_size
    sorted_together = group * max(1, min(limit, batch_tokens // math.ceil(sizes.mean())))
    for number, start in enumerate(range(0, len(order), sorted_together)):
        part = order[start : start + sorted_together]
        # Down and up in turn: where two groups meet, the batch across holds like lengths too.
        keys = sizes[part] if number % 2 else -sizes[part]
        order[start : start + len(part)] = part[np.argsort(keys, kind="stable")]
    batches = cut_by_tokens(order, sizes[order], batch_tokens, limit)
    return [batches[0], *(batches[1 + i] for i in generator.permutation(len(batches) - 1))]


def cut_by_tokens(order: Ints, lengths: Ints, batch_tokens: int, limit: int) -> list[Ints]:
    """Cuts a sequence of examples into batches, each as long as budget and limit allow.

    Args:
        order: examples, `[n]`.
        lengths: their lengths in tokens in that order, `[n]`, 1 or more.
        batch_tokens: most tokens of a batch, padding included, unless one example has more.
        limit: most examples of a batch.
    """
    batches, start = [], 0
    while start < len(order):
        room = max(1, min(limit, batch_tokens // int(lengths[start])))
        longest = np.maximum.accumulate(lengths[start : start + room])
        fitting = longest * np.arange(1, len(longest) + 1) <= batch_tokens
        end = start + max(1, int(fitting.sum()))
        batches.append(order[start:end])
        start = end
    return batches
