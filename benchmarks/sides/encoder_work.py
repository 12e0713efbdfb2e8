"""The work of the encoder's benchmark: one batch for all sides, and how much there is to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def full_batch(work: Mapping[str, Any]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Random token ids `[batch, length]` between [CLS] and [SEP], and labels `[batch]`."""
    generator = np.random.default_rng(0)
    ids = generator.integers(1000, 30000, (work["batch"], work["length"])).astype(np.int32)
    ids[:, 0], ids[:, -1] = 101, 102
    return ids, (np.arange(work["batch"]) % 2).astype(np.int32)


def gigaflops(work: Mapping[str, Any]) -> float:
    """Billions of operations in the matrix products; a training step has three times as many."""
    hidden, length, rows = work["hidden"], work["length"], work["batch"] * work["length"]
    layer = 24.0 * rows * hidden**2 + 4.0 * rows * length * hidden
    pooler = 2.0 * work["batch"] * hidden**2
    return (work["layers"] * layer + pooler) * (3 if work["training"] else 1) / 1e9
