"""How much of a device's arithmetic a training run uses: model FLOPs over peak FLOPs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from bert_keras.config import BertConfig

if TYPE_CHECKING:
    import tensorflow as tf

# Dense bfloat16 and TF32/float32 peaks from the makers' data sheets, FLOPs per second, by a part
# of the device's name; the longer name comes first.
_DATA_SHEETS: tuple[tuple[str, dict[str, float]], ...] = (
    ("H200", {"bfloat16": 989e12, "float32": 494e12}),
    ("H100 PCIe", {"bfloat16": 756e12, "float32": 378e12}),
    ("H100", {"bfloat16": 989e12, "float32": 494e12}),
    ("A100", {"bfloat16": 312e12, "float32": 156e12}),
    ("A10G", {"bfloat16": 70e12, "float32": 35e12}),
    ("A10", {"bfloat16": 125e12, "float32": 62.5e12}),
    ("L40S", {"bfloat16": 362e12, "float32": 183e12}),
    ("L4", {"bfloat16": 121e12, "float32": 60e12}),
)
# Rows, inner and outer width of the measured product: those of a feed-forward layer.
_ROWS, _INNER, _OUTER = 4096, 768, 3072


def training_flops(
    config: BertConfig, seq_length: int, predictions: int, next_sentence: bool = True
) -> float:
    """FLOPs of one training example, forward and backward.

    Counted are the matrix products, a multiplication and an addition being two; the backward
    pass is twice the forward pass. What is done again by gradient checkpointing, softmax,
    normalisation and the optimizer do not count, as usual for "model FLOP utilisation"
    (Chowdhery et al. 2022, appendix B).

    Args:
        config: the encoder's sizes.
        seq_length: tokens of an example, padding included.
        predictions: positions that the masked language model is run on.
        next_sentence: whether there is a pooler and a head for next sentence prediction.
    """
    hidden = config.hidden_size

    def layer(rows: int) -> int:
        """Multiplications of a layer of which so many rows are wanted."""
        projections = (3 * seq_length + rows) * hidden * hidden  # query, key, value; output
        attention = 2 * rows * seq_length * hidden  # scores, and their product with the values
        return projections + attention + 2 * rows * hidden * config.intermediate_size

    # The last layer works for the masked tokens and [CLS] alone.
    forward = (config.num_hidden_layers - 1) * layer(seq_length)
    forward += layer(predictions + next_sentence)
    forward += predictions * hidden * (hidden + config.vocab_size)
    if next_sentence:
        forward += hidden * (hidden + 2)
    return 3.0 * 2.0 * forward


def data_sheet_flops(device: str, precision: str) -> float | None:
    """The peak that the data sheet of a known device gives, None for an unknown device.

    Args:
        device: its name as TensorFlow reports it, such as "NVIDIA A100-SXM4-40GB".
        precision: "bfloat16" or "float32" (on these devices, TF32).
    """
    for name, peaks in _DATA_SHEETS:
        if name in device:
            return peaks.get(precision)
    return None


def peak_flops(precision: str = "float32", seconds: float = 0.3) -> float:
    """FLOPs per second that this process's first device reaches at best.

    On a GPU that is known, the data sheet's number; otherwise the best of matrix products of
    the shape of a feed-forward layer, repeated for `seconds`.

    Args:
        precision: "bfloat16" or "float32".
        seconds: how long to measure.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "")
        known = data_sheet_flops(name, precision)
        if known is not None:
            return known
    return _measured_flops(precision, seconds)


def _measured_flops(precision: str, seconds: float) -> float:
    import tensorflow as tf

    random = np.random.default_rng(0)
    left = tf.cast(random.normal(size=(_ROWS, _INNER)), precision)
    right = tf.cast(random.normal(size=(_INNER, _OUTER)), precision)

    @tf.function
    def product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        # One element is read back, which waits for the device and copies next to nothing.
        return tf.matmul(left, right)[0, 0]

    float(product(left, right))
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        float(product(left, right))
        best = min(best, time.perf_counter() - start)
    return 2.0 * _ROWS * _INNER * _OUTER / best
