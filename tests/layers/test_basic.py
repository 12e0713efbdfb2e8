"""The layers with weights that all others are built from."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.layers.basic import LayerNorm


@pytest.mark.parametrize("around", [None, "bfloat16"])
def test_the_weights_of_a_normalisation_are_never_rounded(around):
    """Within the call of a layer of mixed policy, and where there is none around."""
    layer = LayerNorm(1e-12, dtype="mixed_bfloat16")
    layer.build(2)
    # In bfloat16 both would be 1.
    layer.gamma.assign([1.001, 1.001])
    layer.beta.assign([1.001, -1.001])
    # So many that they are compiled.
    x = tf.constant([[3.0, 1.0]] * 2**15)

    @tf.function
    def compiled(x):
        return layer(x, training=True)

    with keras.src.backend.AutocastScope(around) if around else contextlib.nullcontext():
        found = layer(x[:1]), compiled(x)[:1]
        assert compiled(tf.cast(x, tf.bfloat16)).dtype == tf.bfloat16
    for values in found:
        np.testing.assert_allclose(values, [[2.002, -2.002]], rtol=1e-6)
