"""The shared train step: normalisation over replicas, dropout's seeds, agreement of devices."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.optimization import AdamW
from bert_keras.training.train_step import dropout_seed
from tests import small


def _train(strategy, batches, dropout=0.0, clip_norm=1.0):
    """Weights after one update per batch, and the sum over replicas of the last loss."""
    with strategy.scope():
        # The published spread: larger weights let rounding grow beyond the bound below.
        task = small.classifier(dropout, initializer_range=0.02)
        optimizer = AdamW(1e-4, clip_norm=clip_norm)
        optimizer.build(task.trainable_variables)
        task.compile(optimizer=optimizer)
    spec = tf.TensorSpec([None, None], tf.int32)
    names = ("token_ids", "segment_ids", "padding_mask")
    signature = ({name: spec for name in names}, tf.TensorSpec([None], tf.int32))
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)

    @tf.function
    def step(iterator):
        strategy.run(lambda features, labels: task.update(features, labels), next(iterator))

    iterator = iter(strategy.experimental_distribute_dataset(dataset))
    for _ in batches:
        step(iterator)
    return [np.asarray(tf.convert_to_tensor(weight.value)) for weight in task.weights]


def _batches(sizes) -> list:
    task = small.classifier()
    texts, labels = small.sentences(sum(sizes), seed=4)
    encoded = task.encode(texts)
    ids = np.asarray([small.LABELS.index(label) for label in labels], np.int32)
    order = np.split(np.arange(len(ids)), np.cumsum(sizes)[:-1])
    return [(encoded.batch(part), ids[part]) for part in order]


def _largest_difference(one, two) -> float:
    return max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))


def test_twenty_steps_on_two_replicas_equal_one_device(two_replicas):
    batches = _batches([16] * 20)
    alone = _train(tf.distribute.get_strategy(), batches)
    start = [
        np.asarray(weight.value) for weight in small.classifier(0.0, initializer_range=0.02).weights
    ]
    assert _largest_difference(alone, start) > 1e-3
    assert _largest_difference(_train(two_replicas, batches), alone) < 1e-6


@pytest.mark.parametrize("sizes", [[5, 3], [1, 7]])
def test_uneven_and_even_empty_parts_are_weighted_by_examples(two_replicas, sizes):
    batches = _batches(sizes)
    alone = _train(tf.distribute.get_strategy(), batches)
    assert _largest_difference(_train(two_replicas, batches), alone) < 1e-6


def test_dropout_differs_between_steps_and_replicas_and_repeats_with_the_seed(two_replicas):
    def seeds(step):
        values = two_replicas.run(lambda: dropout_seed(7, step))
        return [tuple(v.numpy()) for v in two_replicas.experimental_local_results(values)]

    first, second = seeds(0), seeds(1)
    assert len({*first, *second}) == 4
    assert seeds(0) == first
    batches = _batches([8, 8])
    strategy = tf.distribute.get_strategy()
    assert _largest_difference(_train(strategy, batches, 0.1), _train(strategy, batches, 0.1)) == 0
    assert _largest_difference(_train(strategy, batches, 0.1), _train(strategy, batches)) > 1e-6
