"""Element-wise work of a training step, compiled with XLA: one pass where TensorFlow makes ten.

What stands between two matrix products is limited by memory, and TensorFlow's own operations
read and write it once each. XLA fuses them, and compiles again for every new shape, so
`kernels` calls these functions where shapes are known, or known to be few. TensorFlow only.

Each function has a gradient written out. Statistics, exponentials and sums are computed in
float32; what is kept for the gradient has the dtype of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any

# tanh's argument in the approximate GELU is x * (scale + 0.044715 * scale * x^2); its slope is
# scale + cubic * x^2.
_TANH_SCALE = math.sqrt(2.0 / math.pi)
_TANH_CUBIC = 3.0 * 0.044715 * _TANH_SCALE


def _xor_shift(words: Tensor, bits: int) -> Tensor:
    return tf.bitwise.bitwise_xor(
        words, tf.bitwise.right_shift(words, tf.constant(bits, tf.uint32))
    )


def _mix(words: Tensor, key: Tensor | int = 0) -> Tensor:
    """A hash of 32-bit words; the constants are Wellons's, found by search (lowbias32)."""
    words = _xor_shift(_xor_shift(words, 16) * tf.constant(0x7FEB352D, tf.uint32), 15)
    words = tf.bitwise.bitwise_xor(words, tf.cast(key, tf.uint32))
    return _xor_shift(words * tf.constant(0x846CA68B, tf.uint32), 16)


def _keep(shape: Tensor | list[int], rate: float, seed: Tensor) -> Tensor:
    """Booleans of a shape, each True with probability `1 - rate`: a hash of (seed, place).

    Philox takes four times as long: more than all that this is fused with.
    """
    first, second = tf.unstack(tf.bitcast(seed, tf.uint32))
    # Seeds that differ in one bit become keys that have nothing in common.
    start = _mix(first + _mix(second + tf.constant(1, tf.uint32)))
    key = _mix(start, second)
    # Not one range over all places, which XLA would keep in memory as a constant.
    rows, columns = tf.range(tf.reduce_prod(shape[:-1])), tf.range(shape[-1])
    places = tf.bitcast(rows[:, None] * shape[-1] + columns, tf.uint32)
    words = _mix(places * tf.constant(0x9E3779B9, tf.uint32) + start, key)
    return tf.reshape(words >= tf.constant(round(rate * 2**32), tf.uint32), shape)


def _wide(x: Tensor) -> Tensor:
    return tf.cast(x, tf.float32)


def _mean(x: Tensor) -> Tensor:
    """The mean over the last axis, which is kept.

    In blocks, where they fit: what XLA sums up over more than 32 it copies to memory before.
    """
    width = x.shape[-1]
    if width % 32 == 0:
        blocks = [tf.shape(x)[0], width // 32, 32]
        x = tf.reduce_sum(tf.reshape(x, blocks), axis=-1)
    return tf.reduce_sum(x, axis=-1, keepdims=True) * (1.0 / width)


def gelu_and_slope(x: Tensor, approximate: bool) -> tuple[Tensor, Tensor]:
    """GELU and its derivative, in the dtype of `x`."""
    wide = _wide(x)
    square = wide * wide
    if approximate:
        inner = tf.tanh(wide * (_TANH_SCALE + _TANH_SCALE * 0.044715 * square))
        share = 0.5 + 0.5 * inner
        density = (0.5 - 0.5 * inner * inner) * (_TANH_SCALE + _TANH_CUBIC * square)
    else:
        share = 0.5 + 0.5 * tf.math.erf(wide * math.sqrt(0.5))
        density = tf.exp(-0.5 * square) * (1.0 / math.sqrt(2.0 * math.pi))
    return tf.cast(wide * share, x.dtype), tf.cast(share + wide * density, x.dtype)


_compiled_gelu = tf.function(gelu_and_slope, jit_compile=True)


def gelu(x: Tensor, approximate: bool, compiled: bool = True) -> Tensor:
    """GELU whose slope is computed beside the value, so that the gradient is one product.

    TensorFlow's gradient goes through each operation of the formula again, in 16 bits one
    conversion forth and back for each. `compiled` False takes TensorFlow's own operations.
    """

    @tf.custom_gradient
    def function(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        value, slope = (_compiled_gelu if compiled else gelu_and_slope)(x, approximate)
        return value, lambda upstream: upstream * slope

    return function(x)


# What follows the random numbers is compiled apart from them: XLA would draw them again for each
# sum, each product and each result that they enter.


@tf.function(jit_compile=True)
def _add_dropped(x: Tensor, residual: Tensor, seed: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    keep = _keep(tf.shape(x), rate, seed)
    total = tf.where(keep, _wide(x) * (1.0 / (1.0 - rate)), 0.0) + _wide(residual)
    return tf.cast(total, x.dtype), keep


@tf.function(jit_compile=True)
def _norm(total: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, ...]:
    wide = _wide(total)
    mean = _mean(wide)
    centred = wide - mean
    scale = tf.math.rsqrt(_mean(centred * centred) + epsilon)
    return tf.cast(centred * scale * gamma + beta, total.dtype), mean, scale


def _norm_gradient(
    upstream: Tensor, total: Tensor, mean: Tensor, scale: Tensor, gamma: Tensor
) -> tuple[Tensor, ...]:
    """Of `_norm`, by what it normalised, by gamma and by beta; float32."""
    wide = _wide(upstream)
    unit = (_wide(total) - mean) * scale
    of_unit = wide * gamma
    shift, tilt = _mean(of_unit), _mean(of_unit * unit)
    of_total = (of_unit - shift - unit * tilt) * scale
    return of_total, tf.reduce_sum(wide * unit, axis=0), tf.reduce_sum(wide, axis=0)


_compiled_norm_gradient = tf.function(_norm_gradient, jit_compile=True)


def norm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Tensor:
    """`layer_norm(x)`, shape `[rows, width]`."""

    @tf.custom_gradient
    def function(
        x: Tensor, gamma: Tensor, beta: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
        normed, mean, scale = _norm(x, gamma, beta, epsilon)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            of_x, *others = _compiled_norm_gradient(upstream, x, mean, scale, gamma)
            return tf.cast(of_x, x.dtype), *others

        return normed, gradient

    return function(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


@tf.function(jit_compile=True)
def _add_norm_gradient(
    upstream: Tensor,
    total: Tensor,
    mean: Tensor,
    scale: Tensor,
    keep: Tensor,
    gamma: Tensor,
    rate: float,
) -> tuple[Tensor, ...]:
    of_total, *others = _norm_gradient(upstream, total, mean, scale, gamma)
    of_x = tf.where(keep, of_total * (1.0 / (1.0 - rate)), 0.0)
    return tf.cast(of_x, total.dtype), tf.cast(of_total, total.dtype), *others


def add_norm(
    x: Tensor,
    residual: Tensor,
    gamma: Tensor,
    beta: Tensor,
    epsilon: float,
    rate: float,
    seed: Tensor,
) -> Tensor:
    """`layer_norm(dropout(x) + residual)`, shapes `[rows, width]`."""

    @tf.custom_gradient
    def function(
        x: Tensor, residual: Tensor, gamma: Tensor, beta: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
        total, keep = _add_dropped(x, residual, seed, rate)
        normed, mean, scale = _norm(total, gamma, beta, epsilon)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            return _add_norm_gradient(upstream, total, mean, scale, keep, gamma, rate)

        return normed, gradient

    return function(x, residual, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


@tf.function(jit_compile=True)
def _dropped(x: Tensor, seed: Tensor, rate: float) -> Tensor:
    keep = _keep(tf.shape(x), rate, seed)
    return tf.cast(tf.where(keep, _wide(x) * (1.0 / (1.0 - rate)), 0.0), x.dtype)


@tf.function(jit_compile=True)
def _attention_gradient(
    upstream: Tensor, probabilities: Tensor, dropped: Tensor, scale: float
) -> Tensor:
    """Of softmax and dropout: `dropped` is the probabilities times what dropout multiplies by."""
    product = _wide(upstream) * _wide(dropped)
    total = tf.reduce_sum(product, axis=-1, keepdims=True)
    return tf.cast(scale * (product - _wide(probabilities) * total), upstream.dtype)


def attention_probabilities(
    scores: Tensor, bias: Tensor, scale: float, rate: float, seed: Tensor
) -> tuple[Tensor, Tensor]:
    """Softmax of `scores * scale + bias` over the last axis, and the same after dropout.

    Shapes: scores `[batch, heads, from, to]`, bias broadcast to it. The first result has no
    gradient.
    """

    @tf.custom_gradient
    def function(scores: Tensor) -> tuple[Any, Callable[..., Tensor]]:
        # TensorFlow's own: XLA takes up to twice as long, for it computes the exponentials of
        # rows that are no multiple of a vector one by one.
        softmax = tf.nn.softmax(_wide(scores) * scale + bias)
        probabilities = tf.cast(softmax, scores.dtype)
        dropped = _dropped(probabilities, seed, rate)

        def gradient(_: Tensor, upstream: Tensor) -> Tensor:
            return _attention_gradient(upstream, probabilities, dropped, scale)

        return (probabilities, dropped), gradient

    return function(scores)
