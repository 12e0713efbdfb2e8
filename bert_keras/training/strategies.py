"""Distribution strategies by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bert_keras.errors import UserError

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

# tf.distribute.cluster_resolver.ClusterResolver, which type checkers cannot see.
Resolver = Any


def make_strategy(
    name: str, tpu: str | None = None, resolver: Resolver | None = None
) -> tf.distribute.Strategy:
    """The strategy called `auto`, `one_device`, `mirrored`, `multi_worker` or `tpu`.

    `mirrored` uses every GPU, or every logical CPU device where there is no GPU; `auto` is
    `mirrored` where there are several GPUs, otherwise `one_device`. `multi_worker` is one of
    several processes that run the same command, each with its place in TF_CONFIG; it must be
    made before anything else touches a device.

    Args:
        name: one of STRATEGIES.
        tpu: the TPU's name or its address, `grpc://…`; "local" for that of a TPU VM.
        resolver: for `tpu`, instead of TensorFlow's TPUClusterResolver.

    Raises:
        UserError: the name is none of these, TF_CONFIG is not set or not valid, or no TPU
            answers.
    """
    makers: dict[str, Callable[[], tf.distribute.Strategy]] = {
        "auto": _auto,
        # TensorFlow's default: the first GPU, or the CPU.
        "one_device": tf.distribute.get_strategy,
        "mirrored": _mirrored,
        "multi_worker": _multi_worker,
        "tpu": lambda: _tpu(tpu, resolver),
    }
    if name not in makers:
        raise UserError(f"--strategy={name}: expected one of {', '.join(STRATEGIES)}")
    return makers[name]()


def _auto() -> tf.distribute.Strategy:
    several = len(tf.config.list_physical_devices("GPU")) > 1
    return _mirrored() if several else tf.distribute.get_strategy()


def _mirrored() -> tf.distribute.Strategy:
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    devices = gpus or [device.name for device in tf.config.list_logical_devices("CPU")]
    # NCCL, the default, is for GPUs alone.
    operations = None if gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=operations)


def check_cluster(text: str | None) -> None:
    """A UserError unless TF_CONFIG describes a cluster of workers and this one's place in it."""
    example = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
    where = "--strategy=multi_worker: TF_CONFIG"
    if not text:
        raise UserError(f"{where} is not set; expected {example}")
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON: {error}; expected {example}") from None
    parts: Any = values if isinstance(values, dict) else {}
    cluster, task = parts.get("cluster"), parts.get("task")
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise UserError(f"{where} is {text!r}; expected {example}")
    kind, index = task.get("type"), task.get("index")
    if kind not in ("worker", "chief"):
        raise UserError(f'{where}: the task\'s type is {kind!r}; expected "worker" or "chief"')
    addresses = cluster.get(kind)
    if not isinstance(addresses, list) or not all(
        isinstance(address, str) and address.rpartition(":")[2].isdigit() for address in addresses
    ):
        raise UserError(f"{where}: cluster {kind!r} is {addresses!r}; expected ['host:port', …]")
    if type(index) is not int or not 0 <= index < len(addresses):
        raise UserError(
            f"{where}: the task's index is {index!r}; expected 0 to {len(addresses) - 1}"
        )


def _multi_worker() -> tf.distribute.Strategy:
    check_cluster(os.environ.get("TF_CONFIG"))
    kinds = tf.distribute.experimental.CommunicationImplementation
    # NCCL, which AUTO takes on GPUs, does not exist for CPUs.
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=kinds.AUTO if on_gpu else kinds.RING
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except (RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"--strategy=multi_worker: the cluster did not form ({reason})") from None


def _tpu(tpu: str | None, resolver: Resolver | None) -> tf.distribute.Strategy:
    try:
        if resolver is None:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--strategy=tpu --tpu={tpu or 'local'}: no TPU answers ({reason}); TensorFlow "
            f"{tf.__version__} is in use, the last release with TPU support is 2.19.1"
        ) from None
