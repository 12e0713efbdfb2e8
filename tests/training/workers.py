"""Twenty updates of a small pretrainer, as one of several workers or alone.

    TF_CONFIG=… python -m tests.training.workers OUTPUT.npz

Each process writes its weights after the run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

STEPS, BATCH = 20, 8


def batches() -> Iterator[dict[str, np.ndarray]]:
    """The global batches, the same everywhere."""
    from tests import small_pretraining

    return (small_pretraining.features(BATCH, seed) for seed in range(STEPS))


def train(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """The weights after 20 updates, each replica on its share of every batch."""
    from bert_keras.optimization import AdamW
    from tests import small_pretraining

    with strategy.scope():
        task = small_pretraining.pretrainer()
        optimizer = AdamW(1e-4)
        optimizer.build(task.trainable_variables)
        task.compile(optimizer=optimizer)
    replicas = strategy.num_replicas_in_sync
    share = BATCH // replicas

    @tf.function
    def step(features):
        strategy.run(lambda part: task.update(part).terms["mlm"].total, args=(features,))

    for batch in batches():

        def part(context, batch=batch):
            first = context.replica_id_in_sync_group * share
            return {name: tf.constant(v[first : first + share]) for name, v in batch.items()}

        step(strategy.experimental_distribute_values_from_function(part))
    return small_pretraining.weights(task)


if __name__ == "__main__":
    from bert_keras.training.strategies import make_strategy

    strategy = make_strategy("multi_worker")
    np.savez(sys.argv[1], *train(strategy))
