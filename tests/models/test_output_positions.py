"""An encoder that is asked for some positions gives what it gives there when asked for all."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.models.pretrainer import PretrainingNetwork
from tests import small

LENGTHS = (6, 11, 3, 8)


def _features(length: int = 12) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    real = np.arange(length) < np.array(LENGTHS)[:, None]
    vocabulary = len(small.VOCABULARY)
    return {
        "token_ids": np.where(real, random.integers(5, vocabulary, real.shape), 0),
        "segment_ids": (real & (np.arange(length) > 4)).astype(np.int32),
        "padding_mask": real.astype(np.int32),
    }


def _packed() -> dict[str, np.ndarray]:
    """Two rows of 16: of 6 and 8 tokens, and of 11 with a place for a second example."""
    vocabulary = len(small.VOCABULARY)
    numbers = np.array([[1] * 6 + [2] * 8 + [0] * 2, [1] * 11 + [0] * 5])
    return {
        "token_ids": np.random.default_rng(4).integers(5, vocabulary, (2, 16)) * (numbers > 0),
        "segment_ids": np.zeros((2, 16), np.int32),
        "padding_mask": (numbers > 0).astype(np.int32),
        "position_ids": np.array([[*range(6), *range(8), 0, 0], [*range(11), *[0] * 5]]),
        "sequence_ids": numbers,
        "cls_positions": np.array([[0, 6], [0, -1]]),
    }


CASES = {
    "padded": (_features(), np.array([[1, 5], [10, 0], [2, 2], [7, 3]])),
    "packed": (_packed(), np.array([[0, 7, 13], [10, 4, 0]])),
}


def _call(encoder, features, open_shapes: bool, **arguments):
    """The encoder's outputs, in a graph of any batch's shape or eagerly."""

    def run(features):
        return encoder(features, **arguments)

    features = {name: tf.constant(value, tf.int32) for name, value in features.items()}
    if not open_shapes:
        return run(features)
    spec = {name: tf.TensorSpec([None, None], tf.int32) for name in features}
    return tf.function(run, input_signature=[spec])(features)


@pytest.mark.parametrize("open_shapes", [False, True])
@pytest.mark.parametrize("pooler", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_states_and_the_pooled_output(name, pooler, open_shapes):
    features, positions = CASES[name]
    encoder = small.encoder(add_pooler=pooler)
    whole = _call(encoder, features, open_shapes)
    some = _call(encoder, features, open_shapes, output_positions=positions)
    assert set(some) == ({"position_output", "pooled_output"} if pooler else {"position_output"})
    expected = tf.gather(whole["sequence_output"], positions, batch_dims=1)
    np.testing.assert_allclose(some["position_output"], expected, atol=2e-6)
    if pooler:
        np.testing.assert_allclose(some["pooled_output"], whole["pooled_output"], atol=2e-6)
        features = {key: tf.constant(value, tf.int32) for key, value in features.items()}
        np.testing.assert_allclose(encoder.pooled(features), whole["pooled_output"], atol=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_beside_hidden_states_and_attentions_too(name):
    features, positions = CASES[name]
    encoder = small.encoder()
    wanted = {"output_hidden_states": True, "output_attentions": True}
    plain = _call(encoder, features, False, **wanted)
    some = _call(encoder, features, False, output_positions=positions, **wanted)
    for kind in ("hidden_states", "attentions"):
        for got, want in zip(some[kind], plain[kind], strict=True):
            np.testing.assert_array_equal(got, want)
    expected = tf.gather(plain["sequence_output"], positions, batch_dims=1)
    np.testing.assert_allclose(some["position_output"], expected, atol=2e-6)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("lora", [0, 2])
@pytest.mark.parametrize("name", CASES)
def test_the_gradients(name, lora, checkpointing):
    features, positions = CASES[name]
    features = {key: tf.constant(value, tf.int32) for key, value in features.items()}
    features["dropout_seed"] = tf.constant([1, 2])
    keras.utils.set_random_seed(5)
    encoder = small.encoder(0.0, gradient_checkpointing=checkpointing, lora_rank=lora)
    for weight in encoder.trainable_weights:
        # LoRA's second factors are zero, and its first ones then have no gradient.
        weight.assign(weight + 0.1 * np.random.default_rng(6).normal(size=weight.shape))
    variables = [weight.value for weight in encoder.trainable_weights]

    def gradients(whole: bool):
        with tf.GradientTape() as tape:
            if whole:
                outputs = encoder(features, training=True)
                states = tf.gather(outputs["sequence_output"], positions, batch_dims=1)
            else:
                outputs = encoder(features, training=True, output_positions=positions)
                states = outputs["position_output"]
            loss = tf.reduce_sum(states**3) + tf.reduce_sum(outputs["pooled_output"] ** 2)
        return [tf.convert_to_tensor(one) for one in tape.gradient(loss, variables)]

    for got, want in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5 * max(1.0, float(np.abs(want).max())))


def test_pretraining_computes_the_last_layer_where_it_is_read_alone(monkeypatch):
    encoder = small.encoder()
    network = PretrainingNetwork(encoder)
    seen = []
    layer = encoder.blocks[-1].intermediate
    call = type(layer).call
    monkeypatch.setattr(
        type(layer),
        "call",
        lambda self, rows, **options: (
            self is layer and seen.append(len(rows)),
            call(self, rows, **options),
        )[1],
    )
    positions = np.array([[1, 5, 0], [10, 0, 0], [2, 2, 0], [7, 3, 1]])
    network({**_features(), "mask_positions": positions})
    assert seen == [4 * (1 + 3)]
