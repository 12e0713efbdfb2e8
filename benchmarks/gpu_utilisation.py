"""Model FLOP utilisation of pretraining BERT with JAX, in bfloat16, on a GPU.

    python -m benchmarks.gpu_utilisation                    # base and large, 128 and 512 tokens
    python -m benchmarks.gpu_utilisation --size=tiny --steps=3 --any_device    # without a GPU

Updates of masked language model and next sentence prediction with AdamW, on full rows of random
tokens; dropout of 0.1, but of attention probabilities, which the fused attention kernel does not
have (`--attention_dropout=0.1` measures without that kernel). Utilisation is the FLOPs of the
model's matrix products, forward and backward, over the peak of the device's data sheet, or of
`--peak_tflops`. docs/jax.md says where this has been run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

from bert_keras.config import BertConfig
from bert_keras.models.encoder import BertEncoder
from bert_keras.models.pretrainer import PretrainingNetwork
from bert_keras.optimization import AdamW
from bert_keras.training.utilisation import data_sheet_flops, training_flops

# Examples of an update: enough to fill a GPU of 80 GB, few enough to fit.
_BATCHES = {("base", 128): 512, ("base", 512): 128, ("large", 128): 256, ("large", 512): 64}
_OTHER_BATCH = 8
_MASK_RATE = 0.15
_STEPS_PER_EPOCH = 10


def _features(config: BertConfig, batch: int, length: int) -> dict[str, np.ndarray]:
    """Full rows of random tokens."""
    random = np.random.default_rng(0)
    predictions = int(np.ceil(length * _MASK_RATE))
    rows = (batch, length)
    positions = np.tile(np.linspace(1, length - 1, predictions, dtype=np.int32), (batch, 1))
    return {
        "token_ids": random.integers(1000, config.vocab_size, rows, dtype=np.int32),
        "segment_ids": np.tile(np.arange(length, dtype=np.int32) * 2 // length, (batch, 1)),
        "padding_mask": np.ones(rows, np.int32),
        "mask_positions": positions,
        "mask_ids": random.integers(1000, config.vocab_size, positions.shape, dtype=np.int32),
        "mask_weights": np.ones(positions.shape, np.float32),
        "next_sentence_labels": random.integers(0, 2, batch, dtype=np.int32),
    }


class _Clock(keras.callbacks.Callback):
    """How long each epoch took, until its loss is known."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = float(logs["loss"])
        self.seconds.append(time.perf_counter() - self._began)
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}")


def _seconds_per_step(network: keras.Model, features: dict[str, Any], steps: int) -> float:
    """Median over epochs of a few steps, after one to compile."""
    per_epoch = min(steps, _STEPS_PER_EPOCH)
    clock = _Clock()
    network.fit(
        ((features,) for _ in itertools.count()),
        epochs=1 + -(-steps // per_epoch),
        steps_per_epoch=per_epoch,
        callbacks=[clock],
        shuffle=False,
        verbose=0,
    )
    return statistics.median(clock.seconds[1:]) / per_epoch


def _measure(size: str, length: int, peak: float | None, flags: argparse.Namespace) -> str:
    """A line of the table."""
    dropout = flags.attention_dropout
    config = BertConfig.named(size, attention_probs_dropout_prob=dropout)
    batch = flags.batch_size or _BATCHES.get((size, length), _OTHER_BATCH)
    network = PretrainingNetwork(BertEncoder(config, dtype="mixed_bfloat16"))
    network.compile(optimizer=AdamW(1e-4))
    features = _features(config, batch, length)
    seconds = _seconds_per_step(network, features, flags.steps)
    flops = batch * training_flops(config, length, features["mask_ids"].shape[1]) / seconds
    share = f"{flops / peak:.1%}" if peak else "peak unknown"
    return (
        f"{size:6} length {length:3}  batch {batch:3}  {1e3 * seconds:9.1f} ms  "
        f"{batch * length / seconds:11,.0f} tokens/s  {flops / 1e12:8.2f} TFLOP/s  {share}"
    )


def main() -> None:
    """Prints a line for each size and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs="+", default=["base", "large"], help="named sizes")
    parser.add_argument("--length", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--batch_size", type=int, help="by default, by size and length")
    parser.add_argument("--steps", type=int, default=50, help="updates to time")
    parser.add_argument("--attention_dropout", type=float, default=0.0)
    parser.add_argument("--peak_tflops", type=float, help="of the device, in bfloat16")
    parser.add_argument("--any_device", action="store_true", help="go on without a GPU")
    flags = parser.parse_args()
    device = jax.devices()[0]
    if device.platform != "gpu" and not flags.any_device:
        parser.error(f"JAX sees no GPU, only {device.device_kind}; --any_device goes on with that")
    known = data_sheet_flops(device.device_kind, "bfloat16")
    peak = flags.peak_tflops * 1e12 if flags.peak_tflops else known
    print(f"{device.device_kind}, jax {jax.__version__}, keras {keras.__version__}")
    for size in flags.size:
        for length in flags.length:
            print(_measure(size, length, peak, flags), flush=True)


if __name__ == "__main__":
    main()
