"""The arithmetic that layers are made of: the one file that knows the Keras backend.

Each function has a `keras.ops` form that runs on every backend, and where TensorFlow has a
faster or a stricter one, that form beside it. Tensors named `rows` are 2-D,
`[tokens, width]`: dense layers see no length axis, which is what oneDNN fuses best.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

Tensor = Any
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"

if ON_TENSORFLOW:
    import tensorflow as tf

    from bert_keras.layers import fused, onednn

# Below so many elements the call of a compiled function costs more than it saves.
_SMALLEST_COMPILED = 2**16
# And that of a kernel of oneDNN.
_SMALLEST_KERNEL = 2**17


_compiles_open_shapes = contextvars.ContextVar("compiles_open_shapes", default=False)


@contextlib.contextmanager
def open_shapes_compiled(compiled: bool) -> Iterator[None]:
    """Whether training steps traced inside leave to `fused` what they do on tensors of open
    shape too, to be compiled for every shape that comes."""
    token = _compiles_open_shapes.set(compiled)
    try:
        yield
    finally:
        _compiles_open_shapes.reset(token)


def _compiles(x: Tensor) -> bool:
    """Whether a training step leaves its work on `x` to `fused`: in a graph, of known shape, or
    of open shape where that was asked for."""
    if not ON_TENSORFLOW or tf.executing_eagerly():
        return False
    elements = x.shape.num_elements()
    if elements is None:
        return _compiles_open_shapes.get()
    return elements >= _SMALLEST_COMPILED


def _suits_onednn(x: Tensor) -> bool:
    """Whether the normalisation of rows `x` in a graph is better left to a kernel of oneDNN,
    which takes a tenth of a millisecond to start."""
    if not ON_TENSORFLOW or tf.executing_eagerly() or x.dtype == tf.float16:
        return False
    if any(device.device_type != "CPU" for device in tf.config.list_logical_devices()):
        return False
    elements = x.shape.num_elements()
    return elements is None or elements >= _SMALLEST_KERNEL


def activate(x: Tensor, activation: str | None, training: bool = False) -> Tensor:
    """gelu (exact), gelu_tanh, relu, silu, tanh, or nothing, element by element.

    `training` is for the gradient alone, see `fused.gelu`.
    """
    if activation is None:
        return x
    if activation in ("gelu", "gelu_tanh"):
        approximate = activation == "gelu_tanh"
        if not ON_TENSORFLOW:
            return ops.gelu(x, approximate=approximate)
        if training:
            return fused.gelu(x, approximate, compiled=_compiles(x))
        return tf.nn.gelu(x, approximate=approximate)
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
        summed = _add_bias(product, tf.convert_to_tensor(bias))
    else:
        summed = tf.nn.bias_add(product, ops.cast(bias, rows.dtype))
    return activate(summed, activation, training)


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


def layer_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    epsilon: float,
    predicts: bool = False,
    training: bool = False,
) -> Tensor:
    """Layer normalisation of the last axis (Ba et al. 2016), computed in float32.

    The result has the dtype of `x`. Under float16 or bfloat16, BERT's epsilon of 1e-12 would
    vanish; in float32 it does not. `predicts`: see `TokenLayout`.
    """
    if training and _compiles(x):
        return fused.norm(x, gamma, beta, epsilon)
    if predicts and _suits_onednn(x):
        return onednn.layer_norm(x, gamma, beta, epsilon)
    wide = ops.cast(x, "float32")
    centred = wide - ops.mean(wide, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    scale = ops.rsqrt(variance + epsilon) * ops.cast(gamma, "float32")
    return ops.cast(centred * scale + ops.cast(beta, "float32"), x.dtype)


def add_norm(
    x: Tensor,
    residual: Tensor,
    gamma: Tensor,
    beta: Tensor,
    epsilon: float,
    rate: float,
    seed: Tensor | None,
    predicts: bool = False,
) -> Tensor:
    """`layer_norm(dropout(x) + residual)`."""
    if seed is not None and _compiles(x):
        return fused.add_norm(x, residual, gamma, beta, epsilon, rate, seed)
    return layer_norm(dropout(x, rate, seed) + residual, gamma, beta, epsilon, predicts)


def attention_probabilities(
    scores: Tensor, scale: float, bias: Tensor, rate: float, seed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Softmax over the last axis of `scores * scale + bias`, and the same after dropout.

    Computed in float32, returned in the scores' dtype. Shapes: scores
    `[batch, heads, from, to]`, bias broadcast to it.
    """
    if seed is not None and _compiles(scores):
        return fused.attention_probabilities(scores, bias, scale, rate, seed)
    wide = ops.cast(scores, "float32") * scale + bias
    probabilities = ops.cast(ops.softmax(wide, axis=-1), scores.dtype)
    return probabilities, dropout(probabilities, rate, seed)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    bias: Tensor,
    rate: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention with dropout of its probabilities.

    Args:
        query, key, value: `[batch, heads, length, size]`.
        bias: float32 `[batch, 1, 1 or length, length]`, added to the scaled scores.

    Returns the context `[batch, heads, length, size]` and the probabilities before dropout.
    """
    if math.frexp(scale)[0] == 0.5 and not has_flash_attention(query):
        # A power of two, as with BERT's heads of 64, changes no digit of whatever it multiplies,
        # and the queries are fewer than the scores.
        query, scale = query * ops.cast(scale, query.dtype), 1.0
    scores = _product_transposed(query, key)
    probabilities, dropped = attention_probabilities(scores, scale, bias, rate, seed)
    if (seed is None or rate == 0.0) and has_flash_attention(query):
        # Probabilities that nobody asks for are not computed: XLA drops them.
        return flash_attention(query, key, value, scale, bias), probabilities
    return ops.matmul(dropped, value), probabilities


def _product_transposed(a: Tensor, b: Tensor) -> Tensor:
    """`a` times the transposed matrices of `b`, which on TensorFlow are not written out."""
    if ON_TENSORFLOW:
        return tf.matmul(a, b, transpose_b=True)
    return ops.matmul(a, ops.swapaxes(b, -2, -1))


def has_flash_attention(query: Tensor) -> bool:
    """Whether cuDNN's fused attention takes such a query: in 16 bits on a GPU, with JAX."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    length, size = query.shape[2:]
    return (
        keras.backend.standardize_dtype(query.dtype) in ("bfloat16", "float16")
        and length % 2 == 0
        and size % 8 == 0
        and jax.default_backend() == "gpu"
    )


def flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    bias: Tensor,
    implementation: Literal["cudnn", "xla"] = "cudnn",
) -> Tensor:
    """The context of `attend` without dropout; the scores never stand in memory (Dao 2022)."""
    import jax

    batch, _, length, _ = query.shape
    query, key, value = (ops.swapaxes(x, 1, 2) for x in (query, key, value))
    context = jax.nn.dot_product_attention(
        query,
        key,
        value,
        bias=ops.cast(ops.broadcast_to(bias, (batch, 1, length, length)), query.dtype),
        scale=scale,
        implementation=implementation,
    )
    return ops.swapaxes(context, 1, 2)


def is_static(x: Tensor) -> bool:
    """Whether all sizes of `x` are known, as they are outside graphs and on TPU."""
    return not ON_TENSORFLOW or x.shape.is_fully_defined()


def gather_rows(table: Tensor, indices: Tensor) -> Tensor:
    """Rows of `table` at `indices`, shape `[*indices, width]`.

    On TensorFlow an index outside the table is an error (InvalidArgumentError on CPU).
    """
    if ON_TENSORFLOW:
        return tf.gather(table, indices)
    return ops.take(table, indices, axis=0)


def permute_rows(table: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """`gather_rows(table, order)` of a permutation, whose gradient is a gathering again.

    TensorFlow's own gradient adds rows to where they came from, one after the other. TensorFlow
    only.
    """

    @tf.custom_gradient
    def permute(table: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return tf.gather(table, order), lambda upstream: tf.gather(upstream, inverse)

    return permute(table)


def gather_positions(sequence: Tensor, positions: Tensor) -> Tensor:
    """The vectors at `positions` `[batch, n]` of `sequence` `[batch, length, width]`.

    Returns `[batch, n, width]`.
    """
    if ON_TENSORFLOW:
        return tf.gather(sequence, positions, batch_dims=1)
    return ops.take_along_axis(sequence, positions[:, :, None], axis=1)


def gather_queries(grid: Tensor, positions: Tensor) -> Tensor:
    """What `grid` `[batch, heads, length, width]` has at `positions` `[batch, n]`.

    Returns `[batch, heads, n, width]`.
    """
    if ON_TENSORFLOW:
        return tf.gather(grid, positions, batch_dims=1, axis=2)
    return ops.take_along_axis(grid, positions[:, None, :, None], axis=2)


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

    On TensorFlow no probabilities are computed: the exponentials are kept for the gradient, in
    the compute dtype, and what each row is to be divided by and multiplied with is applied to
    the narrow side of the products that it enters.
    """
    if not ON_TENSORFLOW:
        logits = ops.matmul(rows, ops.transpose(ops.cast(table, rows.dtype)))
        return cross_entropy(ops.cast(logits, "float32") + bias, labels)
    table, bias = tf.convert_to_tensor(table), tf.convert_to_tensor(bias)
    return _tied_cross_entropy(rows, table, bias, labels)


def _tied_cross_entropy(
    rows: Tensor, table: Tensor, bias: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    dtype = rows.dtype

    @tf.custom_gradient
    def loss(rows: Tensor, table: Tensor, bias: Tensor) -> tuple[Any, Callable[..., Any]]:
        narrow = tf.cast(table, dtype)  # [classes, width]
        logits = tf.cast(tf.matmul(rows, narrow, transpose_b=True), tf.float32) + bias
        top = tf.reduce_max(logits, axis=-1, keepdims=True)
        wide = tf.exp(logits - top)
        sums = tf.reduce_sum(wide, axis=-1, keepdims=True)  # [n, 1]
        powers = tf.cast(wide, dtype)  # softmax times `sums`
        places = tf.stack([tf.range(tf.shape(labels)[0]), labels], axis=1)
        chosen = tf.gather_nd(logits, places)
        losses = (tf.math.log(sums) + top)[:, 0] - chosen

        def gradient(upstream: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            # The gradient of the logits is factors * (powers / sums - one-hot labels).
            factors = upstream[:, None]
            shares = factors / sums  # [n, 1]
            of_rows = tf.cast(tf.matmul(powers, narrow), tf.float32) * shares
            of_rows -= tf.gather(table, labels) * factors
            own = tf.cast(rows, tf.float32)
            of_table = tf.matmul(powers, tf.cast(own * shares, dtype), transpose_a=True)
            of_table = tf.tensor_scatter_nd_sub(
                tf.cast(of_table, tf.float32), labels[:, None], own * factors
            )
            # A product with ones is accumulated in float32; a sum of 16 bits would not be.
            of_bias = tf.matmul(tf.cast(shares, dtype), powers, transpose_a=True)[0]
            of_bias = tf.tensor_scatter_nd_sub(
                tf.cast(of_bias, tf.float32), labels[:, None], upstream
            )
            return tf.cast(of_rows, dtype), of_table, of_bias

        return (losses, chosen >= top[:, 0]), gradient

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


def _keep_mask(x: Tensor, rate: float, seed: Tensor) -> Tensor:
    """Booleans of the shape of `x` that are True with probability `1 - rate` to within 2^-17."""
    # Sixteen random bits decide: half the work of Philox that a 32-bit word each would be.
    known = x.shape.num_elements()
    count = tf.size(x) if known is None else known
    words = tf.random.stateless_uniform([(count + 1) // 2], seed, None, None, tf.uint32)
    halves = tf.reshape(tf.bitcast(words, tf.uint16), [(count + 1) // 2 * 2])[:count]
    shape = tf.shape(x) if known is None else x.shape
    return tf.reshape(halves >= tf.constant(round(rate * 65536), tf.uint16), shape)


def dropout(x: Tensor, rate: float, seed: Tensor | None) -> Tensor:
    """Inverted dropout (Srivastava et al. 2014), a pure function of `seed`, int32 `[2]`.

    `seed` None or `rate` 0 returns `x` itself. The mean is kept: in 16 bits, where 1 / (1 - rate)
    is rounded, the rate is that of the rounded factor, 0.0986 for 0.1 in bfloat16.
    """
    if seed is None or rate == 0.0:
        return x
    scale = ops.cast(1.0 / (1.0 - rate), x.dtype)
    if ON_TENSORFLOW:
        factor = float(np.asarray(1.0 / (1.0 - rate), x.dtype.as_numpy_dtype))
        keep = _keep_mask(x, 1.0 - 1.0 / factor, seed)
        # A product, forth and back, is several times as fast as a choice between two tensors.
        return x * (tf.cast(keep, x.dtype) * scale)
    uniform = keras.random.uniform(ops.shape(x), seed=_GivenSeed(seed))
    return ops.where(uniform >= rate, x * scale, ops.zeros_like(x))


def recompute(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function`, whose intermediate results are computed again for the gradient, not kept.

    Gradient checkpointing, Chen et al. 2016.
    """
    return keras.remat(function)
