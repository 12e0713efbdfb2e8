"""The arithmetic that layers are made of: the one file that knows the Keras backend.

Each function has a `keras.ops` form that runs on every backend, and where TensorFlow has a
faster or a stricter one, that form beside it. Tensors named `rows` are 2-D,
`[tokens, width]`: dense layers see no length axis, which is what oneDNN fuses best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"

if ON_TENSORFLOW:
    import tensorflow as tf


def activate(x: Tensor, activation: str | None) -> Tensor:
    """gelu (exact), gelu_tanh, relu, silu, tanh, or nothing, element by element."""
    if activation is None:
        return x
    if activation in ("gelu", "gelu_tanh"):
        approximate = activation == "gelu_tanh"
        if ON_TENSORFLOW:
            return tf.nn.gelu(x, approximate=approximate)
        return ops.gelu(x, approximate=approximate)
    return getattr(ops, activation)(x)


def dense(
    rows: Tensor,
    kernel: Tensor,
    bias: Tensor,
    activation: str | None = None,
    training: bool = False,
) -> Tensor:
    """`activation(rows @ kernel + bias)` in the dtype of `rows`, `[tokens, out]`.

    On TensorFlow the product, the bias and GELU stand next to each other in the graph, which
    oneDNN runs as one kernel. `training` is for the gradient alone, see `_add_bias`.
    """
    kernel = ops.cast(kernel, rows.dtype)
    if not ON_TENSORFLOW:
        return activate(ops.matmul(rows, kernel) + ops.cast(bias, rows.dtype), activation)
    product = tf.matmul(rows, kernel)
    if training and rows.dtype != tf.float32:
        return activate(_add_bias(product, tf.convert_to_tensor(bias)), activation)
    return activate(tf.nn.bias_add(product, ops.cast(bias, rows.dtype)), activation)


def _add_bias(product: Tensor, bias: Tensor) -> Tensor:
    """`product + bias` in 16 bits, with a gradient of the bias that is summed in 32.

    TensorFlow's own gradient adds up the rows in 16 bits, where a long sum stops growing: with
    two thousand rows of bfloat16, a sixth of its length was missing. A product with ones is
    accumulated in float32.
    """

    @tf.custom_gradient
    def add(product: Tensor, bias: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            ones = tf.ones([1, tf.shape(upstream)[0]], upstream.dtype)
            return upstream, tf.cast(tf.matmul(ones, upstream)[0], bias.dtype)

        return tf.nn.bias_add(product, tf.cast(bias, product.dtype)), gradient

    return add(product, bias)


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Tensor:
    """Layer normalisation of the last axis (Ba et al. 2016), computed in float32.

    The result has the dtype of `x`. Under float16 or bfloat16, BERT's epsilon of 1e-12 would
    vanish; in float32 it does not.
    """
    wide = ops.cast(x, "float32")
    centred = wide - ops.mean(wide, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    scale = ops.rsqrt(variance + epsilon) * ops.cast(gamma, "float32")
    return ops.cast(centred * scale + ops.cast(beta, "float32"), x.dtype)


def attention_probabilities(scores: Tensor, scale: float, bias: Tensor) -> Tensor:
    """Softmax over the last axis of `scores * scale + bias`, in float32, in the scores' dtype.

    Shapes: scores `[batch, heads, from, to]`, bias broadcast to it.
    """
    wide = ops.cast(scores, "float32") * scale + bias
    return ops.cast(ops.softmax(wide, axis=-1), scores.dtype)


def gather_rows(table: Tensor, indices: Tensor) -> Tensor:
    """Rows of `table` at `indices`, shape `[*indices, width]`.

    On TensorFlow an index outside the table is an error (InvalidArgumentError on CPU).
    """
    if ON_TENSORFLOW:
        return tf.gather(table, indices)
    return ops.take(table, indices, axis=0)


def gather_positions(sequence: Tensor, positions: Tensor) -> Tensor:
    """The vectors at `positions` `[batch, n]` of `sequence` `[batch, length, width]`.

    Returns `[batch, n, width]`.
    """
    if ON_TENSORFLOW:
        return tf.gather(sequence, positions, batch_dims=1)
    return ops.take_along_axis(sequence, positions[:, :, None], axis=1)


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax cross-entropy in nats, float32 `[n]`, and whether the label's logit is largest.

    Shapes: logits `[n, classes]`, labels int32 `[n]`.
    """
    wide = ops.cast(logits, "float32")
    hits = ops.cast(ops.argmax(wide, axis=-1), "int32") == labels
    if ON_TENSORFLOW:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, wide), hits
    chosen = ops.take_along_axis(wide, labels[:, None], axis=-1)[:, 0]
    return ops.logsumexp(wide, axis=-1) - chosen, hits


def tied_cross_entropy(
    rows: Tensor, table: Tensor, bias: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """`cross_entropy(rows @ table.T + bias, labels)`, for a large table.

    Shapes: rows `[n, width]` in the compute dtype, table `[classes, width]` and bias
    `[classes]` float32, labels int32 `[n]`.

    On TensorFlow the gradient of the logits is never multiplied out: each row's own factor is
    applied to the narrow side of the products that it enters, and of the logits only one
    tensor, in the compute dtype, is kept for the gradient.
    """
    if not ON_TENSORFLOW:
        logits = ops.matmul(rows, ops.transpose(ops.cast(table, rows.dtype)))
        return cross_entropy(ops.cast(logits, "float32") + bias, labels)
    return _tied_cross_entropy(
        rows, tf.convert_to_tensor(table), tf.convert_to_tensor(bias), labels
    )


def _tied_cross_entropy(
    rows: Tensor, table: Tensor, bias: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    dtype = rows.dtype

    @tf.custom_gradient
    def loss(rows: Tensor, table: Tensor, bias: Tensor) -> tuple[Any, Callable[..., Any]]:
        narrow = tf.cast(table, dtype)
        logits = tf.cast(tf.matmul(rows, narrow, transpose_b=True), tf.float32) + bias
        losses, slopes = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
            features=logits, labels=labels
        )
        slopes = tf.cast(slopes, dtype)  # [n, classes], softmax minus one-hot

        def gradient(upstream: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            # Factors relative to the largest are mostly 0 and 1, which 16 bits hold exactly.
            top = tf.maximum(tf.reduce_max(tf.abs(upstream)), 1e-30)
            relative = tf.cast(upstream / top, dtype)[None]  # [1, n]
            of_bias = tf.cast(tf.matmul(relative, slopes)[0], tf.float32) * top
            factors = upstream[:, None]
            of_rows = tf.cast(tf.matmul(slopes, narrow), tf.float32) * factors
            scaled = tf.cast(tf.cast(rows, tf.float32) * factors, dtype)
            of_table = tf.matmul(slopes, scaled, transpose_a=True)
            return tf.cast(of_rows, dtype), tf.cast(of_table, tf.float32), of_bias

        hits = tf.argmax(logits, axis=-1, output_type=tf.int32) == labels
        return (losses, hits), gradient

    return loss(rows, table, bias)


def check_at_most(value: Tensor | int, limit: int, what: str) -> None:
    """A ValueError (InvalidArgumentError inside a graph) when `value` exceeds `limit`."""
    if isinstance(value, int):
        if value > limit:
            raise ValueError(f"{what} is {value}, the model has room for {limit}")
    elif ON_TENSORFLOW:
        tf.debugging.assert_less_equal(value, limit, f"{what} exceeds {limit}")


def fold_seed(seed: Tensor, data: Tensor | int) -> Tensor:
    """A new seed, int32 `[2]`, that depends on `seed` and on a whole number, as by hashing."""
    if ON_TENSORFLOW:
        return tf.random.experimental.stateless_fold_in(seed, tf.cast(data, tf.int32))
    mixed = ops.cast(data, seed.dtype) * 1000003 + seed[1]
    return ops.stack([seed[0] ^ mixed, mixed])


class _GivenSeed(keras.random.SeedGenerator):
    """Hands an explicit seed to `keras.random`, which otherwise only takes Python numbers."""

    def __init__(self, seed: Tensor) -> None:
        self._seed = seed

    def next(self, ordered: bool = True) -> Tensor:
        return ops.cast(self._seed, keras.src.backend.random_seed_dtype())


def _keep_mask(shape: Tensor, rate: float, seed: Tensor) -> Tensor:
    """Booleans that are True with probability `1 - rate` to within 2^-17."""
    # Sixteen random bits decide: half the work of Philox that a 32-bit word each would be.
    count = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform([(count + 1) // 2], seed, None, None, tf.uint32)
    halves = tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:count]
    return tf.reshape(halves >= tf.constant(round(rate * 65536), tf.uint16), shape)


def dropout(x: Tensor, rate: float, seed: Tensor | None) -> Tensor:
    """Inverted dropout (Srivastava et al. 2014), a pure function of `seed`, int32 `[2]`.

    `seed` None or `rate` 0 returns `x` itself.
    """
    if seed is None or rate == 0.0:
        return x
    scaled = x * ops.cast(1.0 / (1.0 - rate), x.dtype)
    if ON_TENSORFLOW:
        kept = tf.where(_keep_mask(tf.shape(x), rate, seed), scaled, tf.zeros((), x.dtype))
        kept.set_shape(x.shape)
        return kept
    uniform = keras.random.uniform(ops.shape(x), seed=_GivenSeed(seed))
    return ops.where(uniform >= rate, scaled, ops.zeros_like(x))


def recompute(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function`, whose intermediate results are computed again for the gradient, not kept.

    Gradient checkpointing, Chen et al. 2016.
    """
    return keras.remat(function)
