"""Outputs of a model for examples in their own order, from batches of similar length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from bert_keras.data.batches import Ints, cut_by_tokens
from bert_keras.data.encoded import EncodedExamples

# Fewer tokens do not keep the products busy, more fall out of the processor's caches.
_PREDICTION_TOKENS = 3072


def batches_of(encoded: EncodedExamples, batch_size: int | None) -> Iterator[Ints]:
    """Yields the examples of each batch, the longest first.

    Args:
        encoded: tokenized examples.
        batch_size: examples of a batch; None for about so many tokens as run fastest.
    """
    order = np.argsort(-encoded.lengths, kind="stable")
    limit = len(order) if batch_size is None else batch_size
    lengths = np.maximum(encoded.lengths[order], 1)
    budget = _PREDICTION_TOKENS
    if batch_size is not None:
        budget = batch_size * int(lengths.max(initial=1))
    # No examples make one empty batch, which gives the outputs' shape.
    yield from cut_by_tokens(order, lengths, budget, limit) or [order]


def in_order(batches: Iterable[tuple[Ints, Any]]) -> np.ndarray:
    """Returns the outputs `[N, …]` of batches `(examples, outputs)`, an example a row."""
    parts, outputs = [], []
    for part, output in batches:
        parts.append(part)
        outputs.append(np.asarray(output))
    merged = np.concatenate(outputs)
    restored = np.empty_like(merged)
    restored[np.concatenate(parts)] = merged
    return restored


def without_padding(
    batches: Iterable[tuple[Ints, Any]], encoded: EncodedExamples
) -> list[np.ndarray]:
    """Returns for each example its outputs `[its length, …]` of batches `[batch, length, …]`."""
    found: dict[int, np.ndarray] = {}
    for part, output in batches:
        for index, rows in zip(part.tolist(), np.asarray(output), strict=True):
            found[index] = rows[: encoded.lengths[index]]
    return [found[index] for index in range(len(encoded))]
