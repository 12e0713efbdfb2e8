"""All that a pretraining run has to keep: checkpoints, the best weights, where it stands."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import tensorflow as tf

from bert_keras.training.run_directory import read_checkpoint


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
        keep: how many checkpoints stay.
        writes: whether this process is the one that writes.
    """

    def __init__(
        self,
        output_dir: pathlib.Path,
        task: Any,
        optimizer: Any,
        position: tf.Variable,
        keep: int,
        writes: bool,
    ) -> None:
        self.standing = Standing()
        self.writes = writes
        self.step_variable = optimizer.iterations.value
        self._text = tf.Variable("", dtype=tf.string, trainable=False)
        weights = [variable.value for variable in task.variables]
        self._checkpoint = tf.train.Checkpoint(
            weights=weights,
            optimizer=[variable.value for variable in optimizer.variables],
            position=position,
            progress=self._text,
        )
        self._saved = 0
        self._folder = str(output_dir / "checkpoints")
        self._manager = tf.train.CheckpointManager(self._checkpoint, self._folder, keep)
        self._best = tf.train.Checkpoint(weights=weights)
        self._best_path = str(output_dir / "best" / "weights")

    @property
    def step(self) -> int:
        """Updates done."""
        return int(self.step_variable.numpy())

    def restore(self) -> bool:
        """Reads the last checkpoint; False where there is none.

        Raises:
            UserError: it is damaged.
        """
        latest = tf.train.latest_checkpoint(self._folder)
        if latest is None:
            return False
        read_checkpoint(self._checkpoint.restore, latest)
        self.standing = Standing(**json.loads(self._text.numpy()))
        self._saved = self.step
        return True

    def save(self) -> None:
        """Begins to write a checkpoint, unless this step has one."""
        if self.writes and self._saved != self.step:
            self._saved = self.step
            self._text.assign(json.dumps(dataclasses.asdict(self.standing)))
            options = tf.train.CheckpointOptions(enable_async=True)
            self._manager.save(checkpoint_number=self.step, options=options)

    def sync(self) -> None:
        """Returns when all checkpoints are on the disk."""
        self._manager.sync()

    def keep_if_best(self, loss: float) -> None:
        """Keeps the weights as they are if no evaluation had a lower loss."""
        best = self.standing.best_loss
        if best is None or loss < best:
            self.standing.best_loss, self.standing.best_step = loss, self.step
            if self.writes:
                self._best.write(self._best_path)

    def read_best(self) -> None:
        """Gives the model the weights of the best evaluation, if there was one."""
        if self.standing.best_loss is not None:
            read_checkpoint(self._best.read, self._best_path)
