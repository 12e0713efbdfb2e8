"""Rates of matrix products in float32 and bfloat16 on this CPU, to choose a precision by.

`python -m benchmarks.matrix_products` multiplies 3,072 tokens by a kernel of BERT-base's
feed-forward layer (768 × 3,072), the precisions in turn, and prints medians and ranges.
"""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

_TOKENS, _WIDTH, _INNER = 3072, 768, 3072
_ROUNDS, _PRODUCTS = 7, 5


def _rate(product: tf.types.experimental.GenericFunction, *operands: tf.Tensor) -> float:
    """Returns GFLOP/s."""
    begin = time.perf_counter()
    for _ in range(_PRODUCTS):
        # Fetched, so that the product is done.
        product(*operands).numpy()
    return 2e-9 * _PRODUCTS * _TOKENS * _WIDTH * _INNER / (time.perf_counter() - begin)


def main() -> None:
    """Prints a line per precision."""
    product = tf.function(tf.matmul)
    operands = {
        dtype: (
            tf.cast(tf.random.normal([_TOKENS, _WIDTH]), dtype),
            tf.cast(tf.random.normal([_WIDTH, _INNER]), dtype),
        )
        for dtype in ("float32", "bfloat16")
    }
    for pair in operands.values():
        _rate(product, *pair)
    rates = [
        {dtype: _rate(product, *pair) for dtype, pair in operands.items()} for _ in range(_ROUNDS)
    ]
    for dtype in operands:
        own = [one[dtype] for one in rates]
        print(f"{dtype}: {np.median(own):.0f} ({min(own):.0f}–{max(own):.0f}) GFLOP/s")


if __name__ == "__main__":
    main()
