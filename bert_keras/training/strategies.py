"""Distribution strategies by name."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.errors import UserError

STRATEGIES = ("auto", "one_device", "mirrored")


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy called `auto`, `one_device` or `mirrored`.

    `mirrored` uses every GPU, or every logical CPU device where there is no GPU; `auto` is
    `mirrored` where there are several GPUs, otherwise `one_device`.

    Raises:
        UserError: the name is none of these.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one_device"
    if name == "one_device":
        # TensorFlow's default: the first GPU, or the CPU.
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = gpus or [device.name for device in tf.config.list_logical_devices("CPU")]
        # NCCL, the default, is for GPUs alone.
        operations = None if gpus else tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=operations)
    raise UserError(f"--strategy={name}: expected one of {', '.join(STRATEGIES)}")
