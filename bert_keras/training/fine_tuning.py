"""The fine-tuning loop: epochs, dev metrics, the best epoch, and exact resuming."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from bert_keras.data.training_batches import TrainingBatches
from bert_keras.data.training_examples import TrainingExamples
from bert_keras.layers import kernels
from bert_keras.optimization import AdamW, WarmupDecay
from bert_keras.optimization.layer_decay import RateFactors
from bert_keras.training.input_wait import InputWait
from bert_keras.training.run_directory import read_checkpoint
from bert_keras.training.shape_compilation import compiling_pays
from bert_keras.training.words_in_training import words_in_training


@dataclasses.dataclass(frozen=True)
class FineTuningSettings:
    """The recipe. Rates and sizes are those of Devlin et al. 2018, appendix A.3.

    The loss of an update is the mean over the examples of its batch; for `batch_size`,
    `batch_tokens` and `batching` see `TrainingBatches`. `checkpoint_every` counts updates (0:
    only at the end of each epoch); `patience` is the number of epochs without a better dev
    score after which the run stops (0: never); `best_metric` names that score, `loss` counting
    as better when lower. For `layer_decay` see `layer_decay_factors`.
    """

    epochs: int = 3
    batch_size: int | None = 32
    batch_tokens: int = 0
    batching: str = "padded"
    learning_rate: float = 5e-5
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    layer_decay: float = 1.0
    seed: int = 0
    checkpoint_every: int = 0
    patience: int = 0
    best_metric: str = "accuracy"

    def batches(self, examples: TrainingExamples) -> TrainingBatches:
        """The batches of every epoch."""
        return TrainingBatches(
            examples, self.seed, self.batch_size, self.batch_tokens, self.batching
        )

    def optimizer(self, total_steps: int, rate_factors: RateFactors = ()) -> AdamW:
        """AdamW with warm-up and linear decay over the whole run."""
        schedule = WarmupDecay(self.learning_rate, total_steps, warmup_ratio=self.warmup_ratio)
        return AdamW(
            schedule, self.weight_decay, clip_norm=self.clip_norm, rate_factors=rate_factors
        )


@dataclasses.dataclass
class Progress:
    """Where a run stands: all that a checkpoint holds besides tensors.

    `seconds` are those of the whole run, `update_seconds` those of the updates alone, without
    evaluations, and `waited_seconds` the part of these in which there was no batch to work on.
    """

    epoch: int = 0
    step: int = 0
    loss_total: float = 0.0
    loss_weight: float = 0.0
    seconds: float = 0.0
    update_seconds: float = 0.0
    waited_seconds: float = 0.0
    best_score: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    finished: bool = False

    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    @property
    def input_wait(self) -> float:
        """Share of the updates' time that was spent waiting for batches."""
        return self.waited_seconds / max(self.update_seconds, 1e-9)


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
        train: TrainingExamples,
        evaluate: Evaluate | None,
        output_dir: pathlib.Path,
        settings: FineTuningSettings,
        strategy: tf.distribute.Strategy,
        say: Callable[[str], None] = print,
    ) -> None:
        self.task = task
        batches = settings.batches(train)
        self._compiled = compiling_pays(batches, settings.epochs, task.encoder.config)
        self.batches = dataclasses.replace(batches, rounded=self._compiled)
        self.evaluate = evaluate
        self.settings = settings
        self.strategy = strategy
        self.say = say
        self.progress = Progress()
        # Warm-up and decay span the run, so that its updates are counted before it begins.
        steps = sum(self.batches.steps(epoch) for epoch in range(settings.epochs))
        with strategy.scope():
            self._words = words_in_training(task.encoder.embeddings, train)
            optimizer = settings.optimizer(steps, task.rate_factors(settings.layer_decay))
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
        self._input_wait = InputWait()
        self._step_function = self._make_step_function()
        self._began = self._lap = time.monotonic()

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
        if self._words is not None:
            self._words.end()
        return self.progress

    def _restore(self) -> None:
        latest = self._manager.latest_checkpoint
        if latest is None:
            return
        read_checkpoint(self._checkpoint.restore, latest)
        self.progress = Progress(**json.loads(self._state.numpy()))
        if self._words is not None:
            self._words.restored(self._updates)
        if not self.progress.finished:
            self.say(
                f"resuming at epoch {self.progress.epoch + 1}, "
                f"step {self.progress.step} of {self.batches.steps(self.progress.epoch)}"
            )

    @property
    def _updates(self) -> int:
        return int(keras.ops.convert_to_numpy(self.task.optimizer.iterations.value))

    def _write_back_words(self) -> None:
        """Brings the model that predicts and is saved up to date."""
        if self._words is not None:
            self._words.write_back(self.task.optimizer, self._updates)

    def _save(self) -> None:
        self._write_back_words()
        self.progress.seconds = time.monotonic() - self._began
        self._state.assign(json.dumps(dataclasses.asdict(self.progress)))
        self._manager.save()

    def _make_step_function(self) -> Callable[[Any, tf.Tensor], tf.Tensor]:
        """One update; adds the batch's loss and weight to the sums it is given, float64 `[2]`."""
        strategy, task, input_wait = self.strategy, self.task, self._input_wait

        def replica_step(*batch: Any) -> tuple[tf.Tensor, tf.Tensor]:
            with kernels.open_shapes_compiled(self._compiled):
                terms = task.update(*batch).terms.values()
            return tf.add_n([term.total for term in terms]), next(iter(terms)).weight

        @tf.function
        def step(iterator: Any, sums: tf.Tensor) -> tf.Tensor:
            own = strategy.run(replica_step, args=input_wait.next(iterator))
            add = tf.distribute.ReduceOp.SUM
            reduced = [strategy.reduce(add, part, axis=None) for part in own]
            return sums + tf.cast(tf.stack(reduced), tf.float64)

        return step

    def _run_epoch(self) -> None:
        progress, every = self.progress, self.settings.checkpoint_every
        self.say(f"epoch {progress.epoch + 1} of {self.settings.epochs}")
        steps = self.batches.steps(progress.epoch)
        bar, due = _progress_bar(steps), 0.0
        dataset = self.batches.dataset(progress.epoch, progress.step)
        iterator = iter(self.strategy.experimental_distribute_dataset(dataset))
        sums = tf.constant([progress.loss_total, progress.loss_weight], tf.float64)
        self._lap = time.monotonic()
        while progress.step < steps:
            sums = self._step_function(iterator, sums)
            progress.step += 1
            last = progress.step == steps
            save = every and progress.step % every == 0 and not last
            # To read the sums is to wait for the device, which then waits for Python: seldom.
            if last or save or time.monotonic() >= due:
                loss = self._read(sums)
                shown = [("loss", loss), ("input wait %", 100 * progress.input_wait)]
                bar.update(progress.step, shown, finalize=last)
                due = time.monotonic() + bar.interval
            if save:
                self._save()

    def _read(self, sums: tf.Tensor) -> float:
        """Notes the sums of the epoch and the time so far; returns the mean loss."""
        progress = self.progress
        progress.loss_total, progress.loss_weight = sums.numpy().tolist()
        now = time.monotonic()
        progress.update_seconds += now - self._lap
        progress.waited_seconds += self._input_wait.seconds
        self._lap = now
        self._input_wait.reset()
        mean = progress.loss_total / max(progress.loss_weight, 1e-12)
        if not math.isfinite(mean):
            raise FloatingPointError(
                f"the loss is {mean} at epoch {progress.epoch + 1}, step {progress.step}; "
                "a lower learning rate or float32 may help"
            )
        return mean

    def _end_epoch(self) -> None:
        progress, settings = self.progress, self.settings
        row: dict[str, float] = {
            "epoch": progress.epoch + 1,
            "train_loss": progress.loss_total / max(progress.loss_weight, 1e-12),
        }
        progress.epoch += 1
        self._write_back_words()
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
    interval = 0.5 if sys.stdout.isatty() else 15.0
    return keras.utils.Progbar(
        steps,
        unit_name="step",
        stateful_metrics=["loss", "input wait %"],
        interval=interval,
    )
