"""All that a pretraining run has to keep: checkpoints, the best weights, where it stands."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.training.run_checkpoints import NO_WAY_ON, DamagedCheckpointError, RunCheckpoints
from bert_keras.training.run_directory import CHECKPOINTS


@dataclasses.dataclass
class Standing:
    """What a checkpoint holds besides tensors: time spent, and the best evaluation."""

    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int = 0


class RunState:
    """The checkpoints of a run, and the weights of its best evaluation.

    A checkpoint is written by a thread of its own, from a copy of the variables, while training
    goes on.

    Args:
        output_dir: gets `checkpoints/` and `best/`.
        task: the model; every variable is kept, whatever holds it.
        optimizer: its variables are kept, and its count of updates numbers the checkpoints.
        position: the variable with the position in the data.
        run: what decides the outcome; JSON values.
        keep: how many checkpoints stay.
        writes: whether this process is the one that writes.
    """

    def __init__(
        self,
        output_dir: pathlib.Path,
        task: Any,
        optimizer: Any,
        position: tf.Variable,
        run: Mapping[str, Any],
        keep: int,
        writes: bool,
    ) -> None:
        self.standing = Standing()
        self.writes = writes
        self.step_variable = optimizer.iterations.value
        self._text = tf.Variable("", dtype=tf.string, trainable=False)
        weights = [variable.value for variable in task.variables]
        checkpoint = tf.train.Checkpoint(
            weights=weights,
            optimizer=[variable.value for variable in optimizer.variables],
            position=position,
            progress=self._text,
        )
        self._saved = 0
        self._checkpoints = RunCheckpoints(output_dir / CHECKPOINTS, checkpoint, run, keep)
        self._best = RunCheckpoints(output_dir / "best", tf.train.Checkpoint(weights=weights), run)

    @property
    def step(self) -> int:
        """Updates done."""
        return int(self.step_variable.numpy())

    def restore(self) -> bool:
        """Reads the last checkpoint that can be gone on from; False where there is none.

        Raises:
            UserError: all are damaged.
        """
        if self._checkpoints.restore(self._accept) is None:
            return False
        self._saved = self.step
        return True

    def _accept(self) -> None:
        """Takes a checkpoint that was read, if the best weights are there, or are its own."""
        self.standing = Standing(**json.loads(self._text.numpy()))
        if self.standing.best_loss is None:
            return
        try:
            self._best.check(self.standing.best_step)
        except DamagedCheckpointError:
            if self.standing.best_step != self.step:
                raise
            if self.writes:
                self._best.save(self.step)

    def save(self) -> None:
        """Begins to write a checkpoint, unless this step has one."""
        if self.writes and self._saved != self.step:
            self._saved = self.step
            self._text.assign(json.dumps(dataclasses.asdict(self.standing)))
            self._checkpoints.save(self.step, in_background=True)

    def sync(self) -> None:
        """Returns when all checkpoints are on the disk."""
        self._checkpoints.sync()

    def keep_if_best(self, loss: float) -> None:
        """Keeps the weights as they are if no evaluation had a lower loss."""
        best = self.standing.best_loss
        if best is None or loss < best:
            self.standing.best_loss, self.standing.best_step = loss, self.step
            if self.writes:
                self._best.save(self.step)

    def read_best(self) -> None:
        """Gives the model the weights of the best evaluation, if there was one.

        Raises:
            UserError: they were damaged meanwhile.
        """
        if self.standing.best_loss is not None:
            try:
                self._best.read(self.standing.best_step)
            except DamagedCheckpointError as error:
                raise UserError(f"{error}; {NO_WAY_ON}") from None
