"""What a pretraining run is made of: its phases, its optimizer, how often it does what."""

from __future__ import annotations

import dataclasses

from bert_keras.optimization import LAMB, AdamW, WarmupDecay
from bert_keras.optimization.reduced_optimizer import ReducedOptimizer

OPTIMIZERS = ("adamw", "lamb")

# BERT's warm-up: 10,000 updates of a million (Devlin et al. 2018, appendix A.2). Shorter runs warm
# up over a tenth of their updates.
_LONGEST_WARMUP = 10_000
_WARMUP_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of the run with examples of one length.

    BERT was trained on 128 tokens for nine tenths of its steps and on 512 for the last one
    (Devlin et al. 2018, appendix A.2). `steps` are updates, `batch_size` is the number of
    examples of each, over all devices.
    """

    steps: int
    seq_length: int
    batch_size: int


@dataclasses.dataclass(frozen=True)
class PretrainingSettings:
    """The recipe. Rates, decay and clipping are those of Devlin et al. 2018.

    One schedule spans all phases. `accumulate` cuts each update's batch into parts that are run
    one after the other, for memory; the result is that of the whole batch. `decay_from` and
    `bias_correction` are explained at `WarmupDecay` and `AdamW`.

    `warmup_steps` None is a tenth of the updates, at most 10,000.

    `steps_per_loop` updates run inside TensorFlow between two looks of Python at them;
    checkpoints and evaluations end a loop early. `eval_every` 0 evaluates at the end only.
    """

    phases: tuple[Phase, ...]
    learning_rate: float = 1e-4
    optimizer: str = "adamw"
    bias_correction: bool = True
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    warmup_steps: int | None = None
    decay: str = "linear"
    power: float = 1.0
    decay_from: str = "start"
    accumulate: int = 1
    seed: int = 0
    steps_per_loop: int = 20
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    eval_every: int = 0

    @property
    def total_steps(self) -> int:
        """Updates of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def resolved_warmup(self) -> int:
        """Returns the number of updates over which the learning rate rises."""
        if self.warmup_steps is not None:
            return self.warmup_steps
        return min(_LONGEST_WARMUP, int(_WARMUP_SHARE * self.total_steps))

    def phase_at(self, step: int) -> int:
        """Number of the phase that update `step` (from 0) belongs to; the last one after it."""
        for index, phase in enumerate(self.phases):
            step -= phase.steps
            if step < 0:
                return index
        return len(self.phases) - 1

    def end_of_phase(self, index: int) -> int:
        """Updates done when phase `index` ends."""
        return sum(phase.steps for phase in self.phases[: index + 1])

    def next_stop(self, step: int) -> int:
        """The update after which Python next has to act, seen from `step` updates done."""
        stops = [self.end_of_phase(self.phase_at(step))]
        for every in (self.steps_per_loop, self.checkpoint_every, self.eval_every):
            if every:
                stops.append((step // every + 1) * every)
        return min(stops)

    def schedule(self) -> WarmupDecay:
        """The learning rate over the whole run."""
        return WarmupDecay(
            self.learning_rate,
            self.total_steps,
            warmup_steps=self.resolved_warmup,
            decay=self.decay,
            power=self.power,
            decay_from=self.decay_from,
        )

    def create_optimizer(self) -> ReducedOptimizer:
        """AdamW or LAMB with the schedule."""
        return {"adamw": AdamW, "lamb": LAMB}[self.optimizer](
            self.schedule(),
            self.weight_decay,
            clip_norm=self.clip_norm,
            bias_correction=self.bias_correction,
        )
