"""Warm-up and decay of the learning rate."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

DECAYS = ("linear", "cosine", "polynomial", "constant")


@keras.saving.register_keras_serializable(package="bert_keras")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to the peak, then decay to 0 at the last step.

    Update number `t` (from 0) is done with `peak * t / warmup_steps` during the warm-up, so
    the very first has a rate of 0, as in google-research/bert. After it there are two
    conventions. With `decay_from="peak"`, that of Keras and Hugging Face, the decay spans the
    steps after the warm-up and the curve has no jump. With `decay_from="start"`, that of
    google-research/bert, it spans the whole run, so that the rate drops from the peak to
    `peak * (1 - warmup_steps / total_steps)` when the warm-up ends.

    Args:
        peak: the highest rate.
        total_steps: number of updates of the run. None until `resolve` is called, which a
            task's `fit` does when it knows the number.
        first_step: updates done before the run, so that a second `fit` warms up anew.
        warmup_steps: updates until the peak; alternatively `warmup_ratio`, a share of the run.
        decay: "linear", "cosine", "polynomial" (with `power`) or "constant".
    """

    def __init__(
        self,
        peak: float,
        total_steps: int | None = None,
        warmup_steps: int | None = None,
        warmup_ratio: float = 0.1,
        decay: str = "linear",
        power: float = 1.0,
        decay_from: str = "peak",
        first_step: int = 0,
    ) -> None:
        if decay not in DECAYS:
            raise ValueError(f"decay must be one of {', '.join(DECAYS)}; received {decay!r}")
        if decay_from not in ("peak", "start"):
            raise ValueError(f"decay_from must be 'peak' or 'start', received {decay_from!r}")
        if not 0 <= warmup_ratio <= 1:
            raise ValueError(f"warmup_ratio must be between 0 and 1, received {warmup_ratio}")
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.warmup_ratio = warmup_ratio
        self.decay = decay
        self.power = power
        self.decay_from = decay_from
        self.first_step = first_step

    def resolve(self, total_steps: int, first_step: int = 0) -> None:
        """Fixes the length of the run, and how many updates were done before it."""
        self.total_steps = int(total_steps)
        self.first_step = int(first_step)

    def __call__(self, step: Any) -> Any:
        if self.total_steps is None:
            raise ValueError(
                "the learning-rate schedule does not know the number of steps: train with a "
                "dataset of known size, give `steps_per_epoch` to fit, or give total_steps"
            )
        total = float(max(1, self.total_steps))
        warmup = self.warmup_steps
        if warmup is None:
            warmup = math.ceil(self.warmup_ratio * self.total_steps)
        step = ops.cast(step, "float32") - float(self.first_step)
        start = float(warmup) if self.decay_from == "peak" else 0.0
        progress = ops.clip((step - start) / max(1.0, total - start), 0.0, 1.0)
        decayed = self.peak * self._shape(progress)
        rising = self.peak * step / max(1.0, float(warmup))
        return ops.where(step < warmup, rising, decayed)

    def _shape(self, progress: Any) -> Any:
        """Share of the peak at a share of the decay, from 1 to 0."""
        if self.decay == "constant":
            return ops.ones_like(progress)
        if self.decay == "cosine":
            return 0.5 * (1.0 + ops.cos(math.pi * progress))
        return (1.0 - progress) ** (self.power if self.decay == "polynomial" else 1.0)

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "warmup_ratio": self.warmup_ratio,
            "decay": self.decay,
            "power": self.power,
            "decay_from": self.decay_from,
            "first_step": self.first_step,
        }
