"""The head of fine-tuned models: float32 on whatever the encoder computes in."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.tasks import TextClassifier, TextRegressor
from bert_keras.tasks.dense_head import DenseHead
from tests import small


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
@pytest.mark.parametrize("training", [False, True])
def test_logits_and_gradients_are_those_of_float32(dtype: tf.DType, training: bool) -> None:
    head = DenseHead(small.encoder().config, 3, rate=0.0)
    head.build(32)
    states = tf.cast(np.random.default_rng(0).normal(size=(2, 700, 32)) * 4, dtype)
    with tf.GradientTape() as tape:
        logits = head(states, training=training, dropout_seed=tf.constant([1, 2]))
        loss = tf.reduce_sum(logits * 1.001)
    wide = tf.cast(states, tf.float32)
    assert logits.dtype == tf.float32 and logits.shape == (2, 700, 3)
    expected = tf.tensordot(wide, tf.convert_to_tensor(head.kernel), 1)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    kernel, bias = tape.gradient(loss, [head.kernel.value, head.bias.value])
    np.testing.assert_allclose(bias, np.full(3, 1401.4), rtol=1e-4)
    columns = np.repeat(tf.reduce_sum(wide, [0, 1])[:, None], 3, axis=1)
    np.testing.assert_allclose(kernel, columns * 1.001, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", [TextClassifier, TextRegressor])
def test_a_models_outputs_are_not_rounded_to_16_bits(kind: type) -> None:
    encoder = small.encoder(dtype="mixed_bfloat16")
    labels = {"labels": small.LABELS} if kind is TextClassifier else {}
    model = kind(encoder, small.tokenizer(), max_length=16, **labels)
    outputs = model.raw_outputs(model.encode(small.sentences(64)[0]))
    rounded = tf.cast(tf.cast(outputs, tf.bfloat16), tf.float32)
    assert np.mean(outputs == rounded.numpy()) < 0.05
