"""Kernels against double-precision NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.layers import kernels

RANDOM = np.random.default_rng(0)


def _reference_activation(name: str, x: np.ndarray) -> np.ndarray:
    if name == "gelu":
        return np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel()]).reshape(
            x.shape
        )
    if name == "gelu_tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if name == "silu":
        return x / (1 + np.exp(-x))
    return {"relu": np.maximum(x, 0), "tanh": np.tanh(x)}[name]


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu", "silu", "tanh"])
def test_dense_and_each_activation(name):
    rows, kernel, bias = (RANDOM.normal(size=s) for s in ((11, 7), (7, 5), (5,)))
    got = kernels.dense(*(tf.constant(v, tf.float32) for v in (rows, kernel, bias)), name)
    np.testing.assert_allclose(got, _reference_activation(name, rows @ kernel + bias), atol=2e-6)


def test_the_two_gelus_differ_where_they_should():
    exact, tanh = (float(kernels.activate(tf.constant(2.2), n)) for n in ("gelu", "gelu_tanh"))
    assert 2e-4 < abs(exact - tanh) < 6e-4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_layer_norm_is_computed_in_float32(dtype):
    # A spread of 1e-4 around 1 vanishes in 16 bits: only the cast input may lose it.
    x = tf.cast(1.0 + 0.05 * RANDOM.normal(size=(6, 64)), dtype)
    gamma, beta = RANDOM.normal(size=64), RANDOM.normal(size=64)
    wide = tf.cast(x, tf.float64).numpy()
    centred = wide - wide.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * gamma + beta
    got = kernels.layer_norm(
        x, tf.constant(gamma, tf.float32), tf.constant(beta, tf.float32), 1e-12
    )
    assert got.dtype == dtype
    tolerance = {"float32": 2e-5, "bfloat16": 2e-2, "float16": 3e-3}[dtype]
    np.testing.assert_allclose(tf.cast(got, tf.float64), expected, atol=tolerance, rtol=tolerance)


def test_layer_norm_epsilon_matters_on_tiny_variance():
    x = tf.constant([[1e-6, -1e-6]])
    one, zero = tf.ones(2), tf.zeros(2)
    # variance 1e-12 equals epsilon: the result is 1/sqrt(2), not 1 and not 0.
    got = kernels.layer_norm(x, one, zero, 1e-12)
    np.testing.assert_allclose(got, [[2**-0.5, -(2**-0.5)]], rtol=1e-5)


def test_softmax_in_float32_under_bfloat16_and_finite_when_all_is_masked():
    scores = tf.cast(RANDOM.normal(size=(2, 1, 3, 4)), tf.bfloat16)
    bias = tf.constant([0.0, 0, 0, -10000])[None, None, None]
    found, undropped = kernels.attention_probabilities(scores, 0.5, bias, 0.1, None)
    assert undropped is found
    got = tf.cast(found, tf.float32).numpy()
    wide = tf.cast(scores, tf.float64).numpy()[..., :3] * 0.5
    expected = np.exp(wide) / np.exp(wide).sum(-1, keepdims=True)
    np.testing.assert_allclose(got[..., :3], expected, rtol=4e-3)
    assert np.all(got[..., 3] == 0)
    masked = tf.fill([1, 1, 1, 4], -10000.0)
    everything, _ = kernels.attention_probabilities(scores, 0.5, masked, 0.1, None)
    np.testing.assert_allclose(tf.reduce_sum(tf.cast(everything, tf.float32), -1), 1, atol=2e-2)


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 3, 7), (0, 4)])
def test_dropout_keeps_shapes_even_and_odd(shape):
    seed = tf.constant([1, 2])
    assert kernels.dropout(tf.ones(shape), 0.5, seed).shape == shape


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_rate_scale_and_purity(rate):
    x, seed = tf.ones([1000, 1001]), tf.constant([5, 6])
    dropped = kernels.dropout(x, rate, seed).numpy()
    zeros = np.mean(dropped == 0)
    assert abs(zeros - rate) < 4 * math.sqrt(rate * (1 - rate) / x.numpy().size)
    np.testing.assert_allclose(dropped[dropped != 0], 1 / (1 - rate), rtol=1e-6)
    np.testing.assert_array_equal(dropped, kernels.dropout(x, rate, seed))
    other = kernels.dropout(x, rate, kernels.fold_seed(seed, 1)).numpy()
    same = np.mean((other == 0) == (dropped == 0))
    assert abs(same - (rate**2 + (1 - rate) ** 2)) < 0.005


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_dropout_in_16_bits_keeps_the_mean(dtype):
    dropped = kernels.dropout(tf.ones([3000, 3001], dtype), 0.1, tf.constant([5, 6]))
    wide = tf.cast(dropped, tf.float32).numpy()
    assert abs(wide.mean() - 1) < 5e-4
    assert abs(np.mean(wide == 0) - 0.1) < 2e-3


def test_no_seed_or_no_rate_means_no_dropout():
    x = tf.ones([3])
    assert kernels.dropout(x, 0.5, None) is x
    assert kernels.dropout(x, 0.0, tf.constant([1, 2])) is x


def test_gather_refuses_indices_outside_the_table():
    with pytest.raises(tf.errors.InvalidArgumentError):
        kernels.gather_rows(tf.ones([3, 2]), tf.constant([3]))


def test_a_training_step_is_compiled_where_its_shapes_are_known(monkeypatch):
    monkeypatch.setattr(kernels, "_SMALLEST_COMPILED", 1)
    calls = []

    def gelu(x, approximate, compiled):
        return (calls.append(x.shape) if compiled else None) or x

    monkeypatch.setattr(kernels.fused, "gelu", gelu)
    function = tf.function(lambda x: kernels.activate(x, "gelu", training=True))
    function.get_concrete_function(tf.TensorSpec([3, 4]))
    assert calls == [(3, 4)]
    function.get_concrete_function(tf.TensorSpec([None, 4]))
    kernels.activate(tf.ones([3, 4]), "gelu", training=True)
    monkeypatch.setattr(kernels, "_SMALLEST_COMPILED", 13)
    function.get_concrete_function(tf.TensorSpec([3, 4], name="again"))
    tf.function(lambda x: kernels.activate(x, "gelu")).get_concrete_function(tf.TensorSpec([3, 4]))
    assert calls == [(3, 4)]
