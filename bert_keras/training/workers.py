"""Which of several workers this process is."""

from __future__ import annotations

import tensorflow as tf


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes what a run leaves: the only one, or the first worker."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver is None:
        return True
    kind, number = resolver.task_type, resolver.task_id
    # Without a chief in the cluster, worker 0 has its duties.
    return kind == "chief" or (
        kind == "worker" and number == 0 and "chief" not in resolver.cluster_spec().jobs
    )


def worker_name(strategy: tf.distribute.Strategy) -> str:
    """Names a worker among those of its cluster, such as `worker_1`."""
    resolver = strategy.cluster_resolver
    return f"{resolver.task_type}_{resolver.task_id}"
