"""Strings to labels as PyTorch and ONNX Runtime do it: length-sorted batches of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.sides.sentences import padded

Model = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float32]]


def classify(
    texts: Sequence[str], tokenizer: Any, model: Model, batch_size: int, max_length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Labels `[N]` and probabilities `[N, classes]` of texts.

    Args:
        tokenizer: a fast tokenizer of transformers.
        model: token ids and mask `[batch, length]` to logits `[batch, classes]`.
    """
    encoded = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_length,
        return_token_type_ids=False,
        return_attention_mask=False,
    )
    ids = encoded["input_ids"]
    order = np.argsort([-len(each) for each in ids], kind="stable")
    starts = range(0, len(order), batch_size)
    logits = np.concatenate([model(*padded(ids, order[at : at + batch_size])) for at in starts])
    restored = np.empty_like(logits)
    restored[order] = logits
    powers = np.exp(restored - restored.max(axis=1, keepdims=True))
    return restored.argmax(axis=1), powers / powers.sum(axis=1, keepdims=True)
