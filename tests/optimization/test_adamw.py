"""AdamW against torch.optim.AdamW and against the optimizer published with BERT."""

from __future__ import annotations

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.config import BertConfig
from bert_keras.models.encoder import BertEncoder
from bert_keras.optimization import AdamW, WarmupDecay

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "adamw.npz")


@pytest.mark.parametrize("variant", ["corrected", "uncorrected"])
def test_five_steps_equal_the_original(variant):
    kernel = keras.Variable(GOLDEN["kernel"], name="kernel")
    bias = keras.Variable(GOLDEN["bias"], name="bias")
    optimizer = AdamW(clip_norm=None, bias_correction=variant == "corrected")
    for step, rate in enumerate(GOLDEN["learning_rates"]):
        optimizer.learning_rate = float(rate)
        gradients = [
            tf.constant(GOLDEN[f"{name}_gradients"][step], tf.float32)
            for name in ("kernel", "bias")
        ]
        optimizer.apply(gradients, [kernel, bias])
        for name, variable in (("kernel", kernel), ("bias", bias)):
            expected = GOLDEN[f"{variant}_{name}"][step]
            np.testing.assert_allclose(variable.numpy(), expected, rtol=3e-6, atol=1e-6)


def test_which_variables_of_bert_decay():
    encoder = BertEncoder(BertConfig.named("tiny", vocab_size=10))
    optimizer = AdamW()
    optimizer.build(encoder.trainable_variables)
    decayed = {
        weight.path.split("/", 1)[1]
        for weight, flag in zip(encoder.trainable_variables, optimizer._decay_flags, strict=True)
        if flag
    }
    layer = {
        "self_attention/qkv/kernel",
        "self_attention/output/kernel",
        "intermediate/kernel",
        "output/kernel",
    }
    assert decayed == {
        "embeddings/word_embeddings",
        "embeddings/position_embeddings",
        "embeddings/segment_embeddings",
        "pooler/dense/kernel",
        *(f"layer_{index}/{name}" for index in range(2) for name in layer),
    }


@pytest.mark.parametrize(
    "path",
    ["masked_lm/output_bias", "layer_norm/gamma", "layer_normalization_3/beta", "dense/bias"],
)
def test_paths_that_do_not_decay(path):
    assert not AdamW().decays(path)
    assert not AdamW(weight_decay=0.0).decays("dense/kernel")


def test_exclusions_and_clipping_survive_the_configuration():
    optimizer = AdamW(
        WarmupDecay(1e-3, 10), 0.02, clip_norm=0.5, exclude_from_weight_decay=["kernel$"]
    )
    copy = AdamW.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()
    assert not copy.decays("dense/kernel") and copy.decays("dense/bias")
    assert copy.clip_norm == 0.5 and copy.decay_rate == 0.02


def test_accumulation_inside_the_optimizer_is_refused():
    with pytest.raises(ValueError, match="gradient_accumulation_steps is not supported"):
        AdamW(gradient_accumulation_steps=2)


def _distance_moved(strategy, gradients, clip_norm):
    """Norm of what clipped plain momentum accumulates after one step."""
    with strategy.scope():
        variable = keras.Variable(np.zeros(2, np.float32), name="kernel")
        optimizer = AdamW(1e-3, clip_norm=clip_norm)
        optimizer.build([variable])
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(gradients[context.replica_id_in_sync_group], tf.float32)
    )
    step = tf.function(lambda g: strategy.run(lambda g: optimizer.apply([g], [variable]), (g,)))
    step(parts)
    moment = optimizer._first_moments[0].value
    return float(tf.norm(strategy.experimental_local_results(moment)[0])) / 0.1


def test_two_replicas_reduce_before_they_clip(two_replicas):
    # Each part alone has norm 1; their sum has norm 2 and must be clipped to 1 as a whole.
    gradients = [[1.0, 0.0], [1.0, 0.0]]
    assert _distance_moved(two_replicas, gradients, 1.0) == pytest.approx(1.0, rel=1e-5)
    # Parts that cancel leave a sum of 0.2, below the threshold: nothing is clipped.
    gradients = [[5.0, 0.0], [-4.8, 0.0]]
    assert _distance_moved(two_replicas, gradients, 1.0) == pytest.approx(0.2, rel=1e-4)


def test_gathered_rows_are_clipped_by_the_norm_of_their_sum():
    table = keras.Variable(np.zeros((3, 1), np.float32), name="embeddings")
    optimizer = AdamW(1e-3, clip_norm=1.0)
    optimizer.build([table])
    gradient = tf.IndexedSlices(tf.constant([[3.0], [1.0]]), tf.constant([1, 1]), [3, 1])
    optimizer.apply([gradient], [table])
    np.testing.assert_allclose(optimizer._first_moments[0].numpy(), [[0], [0.1], [0]], rtol=1e-6)


@pytest.mark.parametrize("path", ["kernel", "bias"])
@pytest.mark.parametrize("rate", [0.1, WarmupDecay(0.2, 12, decay="cosine")])
def test_what_decay_alone_makes_of_a_variable(rate, path):
    variable = keras.Variable(np.ones(3, np.float32), name=path)
    optimizer = AdamW(rate, weight_decay=0.3, rate_factors=[("kernel", 0.5)])
    optimizer.build([variable])
    for _ in range(9):
        optimizer.apply([tf.zeros(3)], [variable])
        if keras.ops.convert_to_numpy(optimizer.iterations.value) == 4:
            before = variable.numpy()
    expected = variable.numpy() / before
    assert (path == "bias") == (expected[0] == 1.0)
    np.testing.assert_allclose(optimizer.decay_over(variable.path, 4, 9), expected[0], rtol=1e-6)
