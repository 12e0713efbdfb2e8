"""The limit: nothing but the matrix products of an encoder's work, in bfloat16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import tensorflow as tf

from benchmarks.sides.encoder_work import gigaflops
from benchmarks.sides.protocol import Side

# left [.., n, k], right [.., k, m], and the gradient of their product [.., n, m].
Operands = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def _random(*shape: int) -> tf.Tensor:
    return tf.cast(tf.random.stateless_normal(shape, (1, len(shape))), tf.bfloat16)


def _operands(layers: int, hidden: int, batch: int, length: int) -> list[Operands]:
    """The operands of a forward pass in their order.

    Each layer has weights of its own, as in a model, where they come from memory; what flows
    between the layers is one set of tensors, as it would be warm from the layer before.
    """
    rows, heads, size = batch * length, hidden // 64, 64
    shapes = [(hidden, 3 * hidden), (hidden, hidden), (hidden, 4 * hidden), (4 * hidden, hidden)]
    flowing = {width: _random(rows, width) for width in (hidden, 3 * hidden, 4 * hidden)}
    query, key = _random(batch, heads, length, size), _random(batch, heads, size, length)
    scores = _random(batch, heads, length, length)
    found: list[Operands] = []
    for _ in range(layers):
        dense = [(flowing[n], _random(n, m), flowing[m]) for n, m in shapes]
        found += [dense[0], (query, key, scores), (scores, query, query), *dense[1:]]
    first = _random(batch, hidden)
    return [*found, (first, _random(hidden, hidden), first)]


def _in_turn(operands: Sequence[Operands], training: bool) -> tf.Tensor:
    """Each product waits for the one before, as in a model.

    One value of each is used, so that none is dropped from the graph.
    """
    total = tf.zeros((), tf.bfloat16)

    def use(*products: tf.Tensor) -> tf.Tensor:
        return tf.add_n([total, *(tf.reshape(product, [-1])[0] for product in products)])

    for left, right, _ in operands:
        with tf.control_dependencies([total]):
            total = use(tf.matmul(left, right))
    for left, right, above in reversed(operands) if training else ():
        with tf.control_dependencies([total]):
            total = use(
                tf.matmul(above, right, transpose_b=True), tf.matmul(left, above, transpose_a=True)
            )
    return total


class Products(Side):
    """The products of a forward pass or, with both gradients of each, of a training step."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._operands = _operands(work["layers"], work["hidden"], work["batch"], work["length"])
        self._function = tf.function(lambda operands: _in_turn(operands, work["training"]))
        self.settings = (
            "tf.matmul alone: query, key and value as one product, both products of attention, "
            "three dense products, pooler"
            + ("; each with the products of both gradients" if work["training"] else "")
        )

    def run(self, case: str) -> float:
        float(self._function(self._operands))
        return gigaflops(self.work)
