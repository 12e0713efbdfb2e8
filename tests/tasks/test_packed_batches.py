"""A packed batch has the losses, gradients and metrics of the padded one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.training_batches import TrainingBatches
from bert_keras.data.training_examples import LabelledExamples
from tests import small


@pytest.fixture(scope="module")
def batches():
    """The same pairs of texts, padded and packed."""
    task = small.classifier(dropout=0.0)
    texts, labels = small.sentences(24, seed=4)
    others = small.sentences(24, seed=5)[0]
    inputs = task.encode(texts, others)
    examples = LabelledExamples(inputs, np.asarray([label == "positive" for label in labels], "i"))
    indices = np.random.default_rng(0).permutation(24)
    return {
        kind: TrainingBatches(examples, batching=kind).batch(indices)
        for kind in ("padded", "packed")
    }


def _gradients(task, batch):
    features, labels, weights = (*batch, None)[:3]
    with tf.GradientTape() as tape:
        mean = task.compute_step(features, labels, weights, training=True).terms["loss"].mean()
    return mean, tape.gradient(mean, [weight.value for weight in task.trainable_variables])


def test_the_batch_is_packed(batches):
    features, labels, weights = batches["packed"]
    assert len(features["token_ids"]) < 16 < labels.size and weights.sum() == 24


def test_losses_and_gradients_are_those_of_the_padded_batch(batches):
    task = small.classifier(dropout=0.0)
    (loss, gradients), (packed_loss, packed_gradients) = (
        _gradients(task, batches[kind]) for kind in ("padded", "packed")
    )
    np.testing.assert_allclose(packed_loss, loss, rtol=1e-6)
    for variable, got, want in zip(
        task.trainable_variables, packed_gradients, gradients, strict=True
    ):
        got, want = (np.asarray(tf.convert_to_tensor(value)) for value in (got, want))
        np.testing.assert_allclose(got, want, atol=1e-6, err_msg=variable.path)


def test_an_update_leaves_the_weights_of_the_padded_batch(batches):
    weights = []
    for kind in ("padded", "packed"):
        task = small.classifier(dropout=0.0)
        task.compile(optimizer=keras.optimizers.SGD(0.1))
        task.update(*batches[kind])
        weights.append([np.asarray(weight.value) for weight in task.weights])
    for got, want in zip(*weights, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.slow
def test_fit_and_evaluate_take_packed_batches(batches):
    """Loss and accuracy count the examples, not the places of rows that hold none."""
    shown = []
    for kind in ("padded", "packed"):
        task = small.classifier(dropout=0.0)
        task.compile(learning_rate=1e-3)
        dataset = tf.data.Dataset.from_tensors(batches[kind])
        task.fit(dataset, epochs=2, verbose=0)
        shown.append(task.evaluate(dataset, return_dict=True, verbose=0))
    assert shown[1]["loss"] == pytest.approx(shown[0]["loss"], rel=1e-5)
    assert shown[1]["accuracy"] == pytest.approx(shown[0]["accuracy"])
