"""The compiled kernels of a training step against the plain ones, forth and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.layers import fused, kernels

SEED = tf.constant([3, 5])


def _normal(*shape: int, dtype: str = "float32") -> tf.Tensor:
    values = np.random.default_rng(math.prod(shape)).normal(size=shape)
    return tf.cast(values, dtype)


def _value_and_gradients_in_graph(function, upstream, *inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    gradients = tape.gradient(value, inputs, output_gradients=tf.cast(upstream, value.dtype))
    return [tf.cast(x, tf.float64) for x in (value, *gradients)]


def _value_and_gradients(function, upstream, *inputs):
    return [x.numpy() for x in _value_and_gradients_in_graph(function, upstream, *inputs)]


def _assert_equal(one, other, dtype):
    for left, right in zip(one, other, strict=True):
        tolerance = 1e-5 if dtype == "float32" else 3e-2
        np.testing.assert_allclose(
            left, right, rtol=tolerance, atol=tolerance * np.abs(right).max()
        )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_gelu(compiled, approximate, dtype):
    x, upstream = 3 * _normal(40, 30, dtype=dtype), _normal(40, 31)[:, :30]
    plain = _value_and_gradients(
        lambda x: tf.nn.gelu(x, approximate=approximate), upstream, tf.cast(x, tf.float32)
    )
    got = _value_and_gradients(lambda x: fused.gelu(x, approximate, compiled), upstream, x)
    _assert_equal(got, plain, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_add_norm_without_dropout(dtype):
    x, residual = _normal(50, 16, dtype=dtype), 2 * _normal(25, 32, dtype=dtype)
    residual = tf.reshape(residual, [50, 16]) + 1
    gamma, beta, upstream = 1 + 0.1 * _normal(16), _normal(16), _normal(50, 16)
    plain = _value_and_gradients(
        lambda x, r, g, b: kernels.layer_norm(x + r, g, b, 1e-12),
        upstream,
        *(tf.cast(value, tf.float32) for value in (x, residual, gamma, beta)),
    )
    got = _value_and_gradients(
        lambda *inputs: fused.add_norm(*inputs, 1e-12, 0.0, SEED),
        upstream,
        x,
        residual,
        gamma,
        beta,
    )
    _assert_equal(got, plain, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_norm(dtype):
    x, upstream = 2 * _normal(50, 32, dtype=dtype) + 1, _normal(50, 33)[:, :32]
    gamma, beta = 1 + 0.1 * _normal(32), _normal(4, 8)
    inputs = [x, gamma, tf.reshape(beta, [32])]
    plain = _value_and_gradients(
        lambda x, g, b: kernels.layer_norm(x, g, b, 1e-12),
        upstream,
        *(tf.cast(value, tf.float32) for value in inputs),
    )
    got = _value_and_gradients(lambda *i: fused.norm(*i, 1e-12), upstream, *inputs)
    _assert_equal(got, plain, dtype)


def test_the_gradient_of_add_norm_goes_where_dropout_let_the_value_through():
    x, residual = _normal(64, 32), _normal(32, 64)
    residual = tf.reshape(residual, [64, 32])
    gamma, beta = tf.ones(32), tf.zeros(32)
    keep = fused._keep([64, 32], 0.25, SEED)
    mask = tf.cast(keep, tf.float32) / 0.75

    def plain(x, residual):
        return kernels.layer_norm(x * mask + residual, gamma, beta, 1e-12)

    def compiled(x, residual):
        return fused.add_norm(x, residual, gamma, beta, 1e-12, 0.25, SEED)

    upstream = _normal(64, 32)
    expected = _value_and_gradients(plain, upstream, x, residual)
    _assert_equal(_value_and_gradients(compiled, upstream, x, residual), expected, "float32")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_attention_probabilities(rate, dtype):
    scores, upstream = _normal(2, 3, 8, 8, dtype=dtype), _normal(3, 2, 8, 8)
    upstream = tf.reshape(upstream, scores.shape)
    bias = tf.constant([0.0] * 6 + [-10000.0] * 2)[None, None, None]
    mask = tf.cast(fused._keep([2, 3, 8, 8], rate, SEED), tf.float32) / (1 - rate)
    plain = _value_and_gradients(
        lambda scores: tf.nn.softmax(scores * 0.5 + bias) * mask,
        upstream,
        tf.cast(scores, tf.float32),
    )
    got = _value_and_gradients(
        lambda scores: fused.attention_probabilities(scores, bias, 0.5, rate, SEED)[1],
        upstream,
        scores,
    )
    _assert_equal(got, plain, dtype)
    whole, _ = fused.attention_probabilities(scores, bias, 0.5, rate, SEED)
    np.testing.assert_allclose(tf.reduce_sum(tf.cast(whole, tf.float32), -1), 1.0, atol=1e-2)


def test_what_is_compiled_for_a_shape_as_it_comes_is_what_is_compiled_for_it_alone():
    def step(x, scores, upstream):
        def function(x, scores):
            norm = kernels.add_norm(x, x, tf.ones(8), tf.zeros(8), 1e-12, 0.25, SEED)
            attended = kernels.attention_probabilities(scores, 0.5, 0.0, 0.25, SEED)[1]
            return kernels.activate(norm, "gelu", training=True) + tf.reduce_sum(attended)

        return _value_and_gradients_in_graph(function, upstream, x, scores)

    with kernels.open_shapes_compiled(True):
        shapes = [None, 8], [None, 2, None, None], [None, 8]
        open_step = tf.function(step, input_signature=[tf.TensorSpec(shape) for shape in shapes])
        open_step.get_concrete_function()
    # Large enough to be compiled where the shapes are known.
    for rows, batch, length in ((8192, 2, 181), (9000, 3, 150)):
        inputs = _normal(rows, 8), _normal(batch, 2, length, length), _normal(rows, 8)
        for got, want in zip(open_step(*inputs), tf.function(step)(*inputs), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_what_is_kept_is_random(rate):
    shape = [500, 1000]
    kept = fused._keep(shape, rate, SEED).numpy()
    np.testing.assert_array_equal(kept, fused._keep(shape, rate, SEED))
    deviation = math.sqrt(rate * (1 - rate))
    assert abs(kept.mean() - (1 - rate)) < 4 * deviation / math.sqrt(kept.size)
    # Rows, columns and neighbours at several distances are as independent as coins.
    for axis in (0, 1):
        spread = kept.mean(axis).std() / (deviation / math.sqrt(kept.shape[axis]))
        assert abs(spread - 1) < 0.12
    flat = (kept.ravel() - (1 - rate)) / deviation
    for distance in (1, 2, 3, 16, 1000, 65536):
        correlation = np.mean(flat[:-distance] * flat[distance:])
        assert abs(correlation) < 4.5 / math.sqrt(flat.size), distance


@pytest.mark.parametrize("other", [[3, 6], [4, 5], [5, 3], [3, -5], [3 + 2**30, 5]])
def test_another_seed_keeps_others(other):
    rate, shape = 0.5, [1000, 1000]
    one, two = (fused._keep(shape, rate, seed).numpy() for seed in (SEED, tf.constant(other)))
    for shift in (0, 1, 7):
        same = np.mean(one.ravel()[shift:] == two.ravel()[: one.size - shift])
        assert abs(same - 0.5) < 4.5 * 0.5 / 1000, shift
