"""PretrainingNetwork: shapes, packed batches, both ways to its losses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.models.pretrainer import PretrainingNetwork, pretraining_losses
from tests import small, small_pretraining


def _network(**arguments) -> PretrainingNetwork:
    return small_pretraining.pretrainer(initializer_range=0.2, **arguments).network


def _gradients(network, losses_of):
    variables = [variable.value for variable in network.trainable_variables]
    with tf.GradientTape() as tape:
        losses = losses_of()
        total = tf.add_n([one.total / one.weight for one in losses.values()])
    gradients = tape.gradient(total, variables)
    return losses, [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("mixed_bfloat16", 0.03)])
def test_losses_without_logits_are_those_of_the_logits(dtype, tolerance):
    network = _network(dtype=dtype)
    features = small_pretraining.features(6)
    features["mask_weights"][2] *= 0.25
    outputs = network(features)
    assert outputs["mlm_logits"].shape == (24, len(small.VOCABULARY))
    assert outputs["nsp_logits"].shape == (6, 2)
    assert {value.dtype for value in outputs.values()} == {tf.float32}
    plain, plain_gradients = _gradients(
        network, lambda: pretraining_losses(network(features), features)
    )
    fused, fused_gradients = _gradients(network, lambda: network.losses_of(features))
    assert sorted(plain) == sorted(fused) == ["mlm", "nsp"]
    for name, one in plain.items():
        assert float(fused[name].total) == pytest.approx(float(one.total), rel=tolerance)
        assert float(fused[name].weight) == float(one.weight)
        assert float(fused[name].correct) == float(one.correct)
    for one, two in zip(plain_gradients, fused_gradients, strict=True):
        scale = np.abs(one).max() + 1e-6
        np.testing.assert_allclose(two / scale, one / scale, rtol=0, atol=tolerance)


def test_the_loss_is_the_formula():
    network, features = _network(), small_pretraining.features(6)
    losses = network.losses_of(features)
    logits = network(features)["mlm_logits"].numpy().astype(np.float64)
    ids, weights = features["mask_ids"].ravel(), features["mask_weights"].ravel()
    chosen = logits[np.arange(24), ids]
    nll = np.log(np.exp(logits).sum(1)) - chosen
    assert float(losses["mlm"].total) == pytest.approx((nll * weights).sum(), rel=1e-6)
    assert float(losses["mlm"].correct) == ((logits.argmax(1) == ids) * weights).sum()


def test_places_without_weight_do_not_count():
    network, features = _network(), small_pretraining.features(6)
    other = {name: value.copy() for name, value in features.items()}
    unused = features["mask_weights"] == 0
    assert unused.any()
    other["mask_positions"][unused], other["mask_ids"][unused] = 7, 3
    one, plain = _gradients(network, lambda: network.losses_of(features))
    two, same = _gradients(network, lambda: network.losses_of(other))
    assert float(one["mlm"].total) == pytest.approx(float(two["mlm"].total), rel=1e-6)
    for a, b in zip(plain, same, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


def test_a_packed_batch_has_the_losses_of_its_examples():
    network = _network()
    half = small_pretraining.LENGTH // 2
    single = small_pretraining.features(4, seed=1)
    single = {k: v[:, :half] if v.shape[1:] == (2 * half,) else v for k, v in single.items()}
    single["mask_positions"] = np.minimum(single["mask_positions"], half - 1)
    rows = np.arange(4).reshape(2, 2)

    def joined(name: str) -> np.ndarray:
        return single[name][rows].reshape(2, -1)

    packed = {name: joined(name) for name in ("token_ids", "segment_ids", "padding_mask")}
    packed |= {name: joined(name) for name in ("mask_ids", "mask_weights")}
    packed["mask_positions"] = joined("mask_positions") + np.repeat([[0, half]], 4, 1).astype(int)
    packed["position_ids"] = np.tile(np.arange(half), (2, 2))
    packed["sequence_ids"] = joined("padding_mask") * np.repeat([[1, 2]], half, 1)
    packed["cls_positions"] = np.array([[0, half, -1]] * 2)
    labels = single["next_sentence_labels"][rows]
    packed["next_sentence_labels"] = np.pad(labels, ((0, 0), (0, 1)), constant_values=1)
    packed["next_sentence_weights"] = np.array([[1.0, 1.0, 0.0]] * 2, np.float32)
    one, two = network.losses_of(single), network.losses_of(packed)
    for name in ("mlm", "nsp"):
        assert float(two[name].weight) == float(one[name].weight)
        assert float(two[name].total) == pytest.approx(float(one[name].total), rel=1e-5)


def test_without_next_sentence_prediction():
    network = _network(next_sentence=False)
    features = small_pretraining.features(3, next_sentence=False)
    assert list(network(features)) == ["mlm_logits"]
    assert list(network.losses_of(features)) == ["mlm"]
    with pytest.raises(ValueError, match="needs an encoder with a pooler"):
        PretrainingNetwork(network.encoder)


def test_configuration_round_trip():
    network = _network(next_sentence=False)
    copy = PretrainingNetwork.from_config(network.get_config())
    assert copy.next_sentence is None and len(copy.weights) == len(network.weights)


def test_all_variables_exist_at_once_and_the_table_is_shared():
    network = _network()
    paths = [weight.path for weight in network.weights]
    assert len(set(paths)) == len(paths)
    tables = [w for w in network.weights if len(small.VOCABULARY) in w.shape]
    assert sorted(w.name for w in tables) == ["output_bias", "word_embeddings"]
    assert isinstance(network, keras.Model)
