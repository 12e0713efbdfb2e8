"""The order in which the examples of an epoch are visited."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def epoch_order(
    num_examples: int,
    lengths: Sequence[int] | npt.NDArray[np.integer],
    batch_size: int,
    seed: int,
    epoch: int,
    group: int = 50,
) -> npt.NDArray[np.int64]:
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
    key = np.array([seed % 2**64, epoch % 2**64], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    order = generator.permutation(num_examples).astype(np.int64)
    if not group or not num_examples:
        return order
    lengths = np.asarray(lengths, dtype=np.int64)
    longest = int(np.argmax(lengths[order]))
    order[[0, longest]] = order[[longest, 0]]
    for start in range(0, num_examples, group * batch_size):
        part = order[start : start + group * batch_size]
        order[start : start + len(part)] = part[np.argsort(-lengths[part], kind="stable")]
    full = num_examples // batch_size
    if full < 2:
        return order
    batches = order[: full * batch_size].reshape(full, batch_size)
    shuffled = batches[1:][generator.permutation(full - 1)]
    return np.concatenate([batches[0], shuffled.ravel(), order[full * batch_size :]])
