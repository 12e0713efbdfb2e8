"""Tokenized examples of given lengths, shared by the tests of batches."""

from __future__ import annotations

import numpy as np

from bert_keras.data.encoded import EncodedExamples


def examples_of(lengths: list[int]) -> EncodedExamples:
    """Every token is another number; the first half of each example is of segment 0."""
    return EncodedExamples(
        token_ids=np.arange(1, sum(lengths) + 1, dtype=np.int32),
        splits=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first_lengths=(np.asarray(lengths, np.int32) + 1) // 2,
    )
