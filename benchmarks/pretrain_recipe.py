"""The pretraining that is run side by side: one recipe, one clock and one loop for all sides.

Every side reads the same rows in the same order and trains until the same time has passed. The
clock runs while a side trains, the feeding of its rows included. It stands still while the
imports, the model and its graphs are made, and during evaluation. A few first steps, in which
compilers and caches settle, are run before it starts and then undone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import pathlib
import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

Batch = dict[str, np.ndarray]

WARM_UP_STEPS = 3
EVALUATION_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Recipe:
    """BERT-mini (4 layers, 256 wide, 4 heads, 1,024 in between), masked language model only.

    AdamW with betas 0.9 and 0.999, epsilon 1e-6 and decay 0.01 on everything but biases and
    LayerNorm; gradients clipped to norm 1; dropout 0.1; weights start from a normal
    distribution of 0.02; bfloat16 products, float32 weights. The learning rate follows the
    share of the time that has passed, so that every side uses all of its time: it rises over
    the first twentieth and then falls to 0. Batches are small, for many updates in
    little time; 32 rows would be about a tenth faster on every side.
    """

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    intermediate: int = 1024
    vocabulary: int = 30522
    dropout: float = 0.1
    initializer_range: float = 0.02
    batch_size: int = 16
    peak_learning_rate: float = 1e-3
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    clip_norm: float = 1.0

    def learning_rate(self, share: float) -> float:
        """The rate once this share of the time has passed."""
        rising = share / self.warmup_share
        falling = (1.0 - share) / (1.0 - self.warmup_share)
        # Never 0: the first step would be lost.
        return self.peak_learning_rate * max(min(rising, falling), 1e-3)


class Rows:
    """Rows of one directory of `pretrain_data.py`: token ids and what is masked of them."""

    def __init__(self, directory: pathlib.Path) -> None:
        names = ("token_ids", "mask_positions", "mask_ids", "mask_weights")
        self._arrays = {name: np.load(directory / f"{name}.npy") for name in names}
        self.count, self.length = self._arrays["token_ids"].shape

    def batch(self, start: int, size: int) -> Batch:
        """Rows from `start`, beginning again after the last: int32, and float32 weights."""
        rows = np.arange(start, start + size) % self.count
        chosen = {name: array[rows].astype(np.int32) for name, array in self._arrays.items()}
        chosen["mask_weights"] = chosen["mask_weights"].astype(np.float32)
        return chosen

    def batches(self, size: int) -> Iterator[Batch]:
        """All rows once; the last batch may be smaller."""
        for start in range(0, self.count, size):
            yield self.batch(start, min(size, self.count - start))


class Side(Protocol):
    """One implementation, as the loop drives it."""

    name: str

    def step(self, batch: Batch, learning_rate: float) -> None:
        """One update."""

    def sums(self, batch: Batch) -> tuple[float, float, float]:
        """Summed loss in nats, number of masked tokens, number of correct predictions."""

    def state(self) -> Any:
        """A copy of the weights and of the optimizer's state."""

    def restore(self, state: Any) -> None:
        """Makes a copy from `state` the present."""


class Clock:
    """Wall and processor seconds, counted only inside `with clock:`."""

    def __init__(self) -> None:
        self._wall, self._cpu = 0.0, 0.0
        self._since: tuple[float, float] | None = None

    def __enter__(self) -> Clock:
        self._since = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        self._wall, self._cpu = self.now()
        self._since = None

    def now(self) -> tuple[float, float]:
        """Wall and processor seconds so far."""
        if self._since is None:
            return self._wall, self._cpu
        wall, cpu = self._since
        return (
            self._wall + time.perf_counter() - wall,
            self._cpu + time.process_time() - cpu,
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """One side's run: `every` seconds of training there is an evaluation, one more at the end."""

    side: Side
    recipe: Recipe
    training: Rows
    evaluation: Rows
    seconds: float
    every: float
    results: pathlib.Path

    def evaluate(self) -> dict[str, float]:
        """Loss and accuracy of the masked tokens of all held-out rows."""
        sums = [self.side.sums(batch) for batch in self.evaluation.batches(EVALUATION_BATCH)]
        loss, weight, correct = np.sum(np.array(sums, np.float64), axis=0)
        return {"eval_loss": loss / weight, "eval_accuracy": correct / weight}

    def settle(self) -> None:
        """The first steps, undone: they trace, compile and fill caches."""
        before = self.side.state()
        size = self.recipe.batch_size
        for step in range(WARM_UP_STEPS):
            self.side.step(self.training.batch(step * size, size), self.recipe.learning_rate(0.0))
        self.evaluate()
        self.side.restore(before)

    def record(self, clock: Clock, steps: int) -> None:
        """Evaluates, and appends a line to the results."""
        wall, cpu = clock.now()
        row = {
            "side": self.side.name,
            "seconds": round(wall, 2),
            "cpu_seconds": round(cpu, 2),
            "steps": steps,
            "tokens": steps * self.recipe.batch_size * self.training.length,
            **self.evaluate(),
            "batch_size": self.recipe.batch_size,
            "peak_learning_rate": self.recipe.peak_learning_rate,
        }
        self.results.parent.mkdir(parents=True, exist_ok=True)
        with self.results.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def run(self) -> None:
        """Trains until the time is over."""
        self.settle()
        clock, steps = Clock(), 0
        for evaluation in range(1, math.ceil(self.seconds / self.every) + 1):
            until = min(evaluation * self.every, self.seconds)
            with clock:
                while (passed := clock.now()[0]) < until:
                    start = steps * self.recipe.batch_size
                    batch = self.training.batch(start, self.recipe.batch_size)
                    self.side.step(batch, self.recipe.learning_rate(passed / self.seconds))
                    steps += 1
            self.record(clock, steps)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The flags that all sides share."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("--rows", type=pathlib.Path, required=True, help="of pretrain_data.py")
    flags.add_argument("--results", type=pathlib.Path, required=True)
    flags.add_argument("--seconds", type=float, default=1200.0)
    flags.add_argument("--every", type=float, default=120.0, help="seconds between evaluations")
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--seed", type=int, default=1)
    flags.add_argument("--batch_size", type=int, default=Recipe.batch_size)
    flags.add_argument("--peak_learning_rate", type=float, default=Recipe.peak_learning_rate)
    return flags


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe, with what the flags change of it."""
    return Recipe(batch_size=arguments.batch_size, peak_learning_rate=arguments.peak_learning_rate)


def race(side: Side, arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Runs one side by the flags of `parser`."""
    rows = arguments.rows
    Run(
        side,
        recipe,
        Rows(rows),
        Rows(rows / "evaluation"),
        arguments.seconds,
        arguments.every,
        arguments.results,
    ).run()
