"""The fine-tuning loop: epochs, dev metrics, the best epoch, and exact resuming."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from bert_keras.data.batches import epoch_order
from bert_keras.data.encoded import EncodedExamples
from bert_keras.optimization import AdamW, WarmupDecay
from bert_keras.training.run_directory import read_checkpoint


@dataclasses.dataclass(frozen=True)
class FineTuningSettings:
    """The recipe. Rates and sizes are those of Devlin et al. 2018, appendix A.3.

    `checkpoint_every` counts updates (0: only at the end of each epoch); `patience` is the
    number of epochs without a better dev score after which the run stops (0: never);
    `best_metric` names that score, `loss` counting as better when lower.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    seed: int = 0
    checkpoint_every: int = 0
    patience: int = 0
    best_metric: str = "accuracy"

    def optimizer(self, total_steps: int) -> AdamW:
        """AdamW with warm-up and linear decay over the whole run."""
        schedule = WarmupDecay(self.learning_rate, total_steps, warmup_ratio=self.warmup_ratio)
        return AdamW(schedule, self.weight_decay, clip_norm=self.clip_norm)


@dataclasses.dataclass(frozen=True)
class LabelledExamples:
    """Tokenized examples and their labels, `[N]` or `[N, …]`, as the task's loss takes them."""

    inputs: EncodedExamples
    labels: npt.NDArray[Any]


@dataclasses.dataclass
class Progress:
    """Where a run stands: all that a checkpoint holds besides tensors."""

    epoch: int = 0
    step: int = 0
    loss_total: float = 0.0
    loss_weight: float = 0.0
    seconds: float = 0.0
    best_score: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    finished: bool = False

    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch


Evaluate = Callable[[], dict[str, float]]


class FineTuner:
    """Trains a task model on examples in memory, resuming where a killed run left off.

    The order of the examples and the dropout are functions of (seed, epoch, step), and a
    checkpoint holds every variable, so a resumed run ends with bitwise the weights of an
    unbroken one, given the same machine, versions, thread count and deterministic operations.

    Args:
        task: a task model, built in the strategy's scope; it has `update` and `variables`.
        train: the training examples.
        evaluate: returns the dev metrics of the model as it stands; None without dev data.
        output_dir: holds `checkpoints/` and `best/`.
        settings: the recipe.
        strategy: the distribution strategy.
        say: where messages go.
    """

    def __init__(
        self,
        task: Any,
        train: LabelledExamples,
        evaluate: Evaluate | None,
        output_dir: pathlib.Path,
        settings: FineTuningSettings,
        strategy: tf.distribute.Strategy,
        say: Callable[[str], None] = print,
    ) -> None:
        self.task = task
        self.train_examples = train
        self.evaluate = evaluate
        self.settings = settings
        self.strategy = strategy
        self.say = say
        self.progress = Progress()
        self.steps_per_epoch = math.ceil(len(train.inputs) / settings.batch_size)
        with strategy.scope():
            optimizer = settings.optimizer(self.steps_per_epoch * settings.epochs)
            optimizer.build(task.trainable_variables)
            task.compile(optimizer=optimizer, weighted_metrics=[])
            self._state = tf.Variable("", dtype=tf.string, trainable=False)
        weights = [variable.value for variable in task.variables]
        self._checkpoint = tf.train.Checkpoint(
            weights=weights,
            optimizer=[variable.value for variable in optimizer.variables],
            progress=self._state,
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(output_dir / "checkpoints"), max_to_keep=2
        )
        self._best = tf.train.Checkpoint(weights=weights)
        self._best_path = str(output_dir / "best" / "weights")
        self._step_function = self._make_step_function()
        self._began = time.monotonic()

    def run(self) -> Progress:
        """Trains to the end, from the last checkpoint if there is one.

        On return the model has the weights of the best epoch on the dev data, or the last
        ones where there is no dev data.

        Raises:
            FloatingPointError: the loss is not a number; the last checkpoint is intact.
        """
        self._restore()
        self._began = time.monotonic() - self.progress.seconds
        while not self.progress.finished:
            self._run_epoch()
            self._end_epoch()
            self._save()
        if self.evaluate is not None:
            read_checkpoint(self._best.read, self._best_path)
        return self.progress

    def _restore(self) -> None:
        latest = self._manager.latest_checkpoint
        if latest is None:
            return
        read_checkpoint(self._checkpoint.restore, latest)
        self.progress = Progress(**json.loads(self._state.numpy()))
        if not self.progress.finished:
            self.say(
                f"resuming at epoch {self.progress.epoch + 1}, "
                f"step {self.progress.step} of {self.steps_per_epoch}"
            )

    def _save(self) -> None:
        self.progress.seconds = time.monotonic() - self._began
        self._state.assign(json.dumps(dataclasses.asdict(self.progress)))
        self._manager.save()

    def _batches(self, epoch: int, first_step: int) -> Iterator[tuple[Any, Any]]:
        """Batches of an epoch from a step on."""
        inputs, size = self.train_examples.inputs, self.settings.batch_size
        order = epoch_order(len(inputs), inputs.lengths, size, self.settings.seed, epoch)
        for start in range(first_step * size, len(order), size):
            indices = order[start : start + size]
            yield inputs.batch(indices), self.train_examples.labels[indices]

    def _dataset(self, epoch: int, first_step: int) -> Any:
        ids = tf.TensorSpec([None, None], tf.int32)
        labels = self.train_examples.labels
        signature = (
            {name: ids for name in ("token_ids", "segment_ids", "padding_mask")},
            tf.TensorSpec([None, *labels.shape[1:]], labels.dtype),
        )
        dataset = tf.data.Dataset.from_generator(
            lambda: self._batches(epoch, first_step), output_signature=signature
        ).prefetch(4)
        return self.strategy.experimental_distribute_dataset(dataset)

    def _make_step_function(self) -> Callable[[Any], tuple[tf.Tensor, tf.Tensor]]:
        strategy, task = self.strategy, self.task

        def replica_step(features: Any, labels: Any) -> tuple[tf.Tensor, tf.Tensor]:
            terms = task.update(features, labels).terms.values()
            return tf.add_n([term.total for term in terms]), next(iter(terms)).weight

        @tf.function
        def step(iterator: Any) -> tuple[tf.Tensor, tf.Tensor]:
            total, weight = strategy.run(replica_step, args=next(iterator))
            add = tf.distribute.ReduceOp.SUM
            return strategy.reduce(add, total, axis=None), strategy.reduce(add, weight, axis=None)

        return step

    def _run_epoch(self) -> None:
        progress, settings = self.progress, self.settings
        self.say(f"epoch {progress.epoch + 1} of {settings.epochs}")
        bar = _progress_bar(self.steps_per_epoch)
        iterator = iter(self._dataset(progress.epoch, progress.step))
        while progress.step < self.steps_per_epoch:
            total, weight = self._step_function(iterator)
            progress.step += 1
            progress.loss_total += float(total)
            progress.loss_weight += float(weight)
            mean = progress.loss_total / max(progress.loss_weight, 1e-12)
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"the loss is {mean} at epoch {progress.epoch + 1}, step {progress.step}; "
                    "a lower learning rate or float32 may help"
                )
            bar.update(progress.step, [("loss", mean)], finalize=False)
            every = settings.checkpoint_every
            if every and progress.step % every == 0 and progress.step < self.steps_per_epoch:
                self._save()
        bar.update(self.steps_per_epoch, [("loss", mean)], finalize=True)

    def _end_epoch(self) -> None:
        progress, settings = self.progress, self.settings
        row: dict[str, float] = {
            "epoch": progress.epoch + 1,
            "train_loss": progress.loss_total / max(progress.loss_weight, 1e-12),
        }
        progress.epoch += 1
        if self.evaluate is not None:
            metrics = self.evaluate()
            row.update({f"dev_{name}": value for name, value in metrics.items()})
            self._keep_if_best(metrics[settings.best_metric])
            shown = " - ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            self.say(f"dev after epoch {progress.epoch}: {shown}")
        progress.history.append(row)
        progress.step, progress.loss_total, progress.loss_weight = 0, 0.0, 0.0
        if self.evaluate is not None and 0 < settings.patience <= progress.stale_epochs():
            self.say(f"no better {settings.best_metric} for {settings.patience} epochs: stopping")
            progress.finished = True
        progress.finished = progress.finished or progress.epoch == settings.epochs

    def _keep_if_best(self, score: float) -> None:
        progress = self.progress
        comparable = -score if self.settings.best_metric == "loss" else score
        if progress.best_score is None or comparable > progress.best_score:
            progress.best_score, progress.best_epoch = comparable, progress.epoch
            self._best.write(self._best_path)


def _progress_bar(steps: int) -> keras.utils.Progbar:
    """Redraws itself on a terminal; in a file, where each state stays, it is seldom written."""
    interval = 0.05 if sys.stdout.isatty() else 15.0
    return keras.utils.Progbar(
        steps, unit_name="step", stateful_metrics=["loss"], interval=interval
    )
