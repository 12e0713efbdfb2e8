"""The pretraining loop: phases, checkpoints, evaluations, and exact resuming."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orbit
import tensorflow as tf

from bert_keras.training.preemption import Preemption
from bert_keras.training.pretraining_settings import Phase, PretrainingSettings
from bert_keras.training.pretraining_trainer import PretrainingEvaluator, PretrainingTrainer
from bert_keras.training.progress_line import progress_line
from bert_keras.training.report import write_report
from bert_keras.training.run_state import RunState
from bert_keras.training.training_log import TrainingLog
from bert_keras.training.workers import is_chief, worker_name

Rows = tuple[tuple[int, int], ...]
# A dataset of phase `index` from a position on, each element one of the given ranges of a batch.
MakeDataset = Callable[[int, tuple[int, int, int], Rows], tf.data.Dataset]
# The held-out batches, each element one of the given ranges.
MakeEvaluation = Callable[[Rows], tf.data.Dataset]


@dataclasses.dataclass(frozen=True)
class Data:
    """Where a run's examples come from.

    Attributes:
        training: makes the endless dataset of a phase.
        evaluation: makes the dataset of held-out examples, None without any.
        evaluation_batch: examples in one held-out batch, over all devices.
    """

    training: MakeDataset
    evaluation: MakeEvaluation | None = None
    evaluation_batch: int = 0


class PretrainingRun:
    """Pretrains a model, from the last checkpoint if there is one.

    Examples and dropout are functions of (seed, position, step), and a checkpoint holds every
    variable and the position, so a resumed run ends with bitwise the weights of an unbroken
    one, given the same machine, versions, thread count and deterministic operations.

    Args:
        task: a `BertPretrainer`, built in the strategy's scope.
        data: the examples.
        output_dir: gets `checkpoints/`, `best/`, `metrics.jsonl`, `tensorboard/` and
            `report.html`.
        settings: the recipe.
        strategy: the distribution strategy; under several workers, only the first writes.
        peak_flops: what the devices together can do per second, for the utilisation shown; None
            leaves it out.
        flops_of: model FLOPs of an example of a phase.
        described: names and values for the report.
        say: where lines of progress go.
    """

    def __init__(
        self,
        task: Any,
        data: Data,
        output_dir: pathlib.Path,
        settings: PretrainingSettings,
        strategy: tf.distribute.Strategy,
        peak_flops: float | None = None,
        flops_of: Callable[[Phase], float] | None = None,
        described: Mapping[str, Any] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.task = task
        self.data = data
        self.output_dir = output_dir
        self.settings = settings
        self.strategy = strategy
        self.chief = is_chief(strategy)
        self._phase = 0
        self._peak_flops, self._flops_of = peak_flops, flops_of
        self._described = dict(described or {})
        # Orbit prints lines of its own, which `_quietly` hides.
        output = sys.stdout
        self.say = say or (lambda line: print(line, file=output, flush=True))
        with strategy.scope():
            optimizer = settings.create_optimizer()
            optimizer.build(task.trainable_variables)
            task.compile(optimizer=optimizer, weighted_metrics=[])
            self.trainer = PretrainingTrainer(task, strategy, settings.accumulate)
        self._schedule = settings.schedule()
        self.state = RunState(
            output_dir,
            task,
            optimizer,
            self.trainer.position,
            settings.keep_checkpoints,
            writes=self.chief,
        )

    @property
    def step(self) -> int:
        """Updates done."""
        return self.state.step

    def run(self) -> Preemption:
        """Trains to the end, or until a signal asks to stop; then the last step is saved.

        On return from a finished run the model has the weights with the lowest loss on the
        held-out data, or the last ones where there is none.

        Raises:
            FloatingPointError: the loss is not a number; the last checkpoint is intact.
        """
        with self.strategy.scope():
            resuming = self.state.restore()
        if resuming:
            self.say(f"resuming at step {self.step} of {self.settings.total_steps}")
        self.log = TrainingLog(self._path("metrics.jsonl"), self.step)
        controller = self._make_controller()
        self._began = self._lap = time.monotonic()
        with Preemption() as preemption:
            while self.step < self.settings.total_steps and not self._stopping(preemption):
                self._advance(controller)
            if self.step == self.settings.total_steps:
                self._finish()
            else:
                self._save()
                self.say(f"stopped at step {self.step}, saved; the same command goes on from it")
            self.state.sync()
            self._write_report()
        return preemption

    def _advance(self, controller: orbit.Controller) -> None:
        """To the next step at which something is due, and does it."""
        settings = self.settings
        phase = settings.phase_at(self.step)
        if self.trainer.train_dataset is None or self._phase != phase:
            self._phase = phase
            self._start_phase(phase)
        with _quietly():
            controller.train(settings.next_stop(self.step), checkpoint_at_completion=False)
        step = self.step
        if settings.eval_every and step % settings.eval_every == 0:
            self._evaluate(controller)
        if step % settings.checkpoint_every == 0:
            self._save()

    def _finish(self) -> None:
        evaluated = any(row["step"] == self.step and "eval_loss" in row for row in self.log.rows)
        if self.data.evaluation is not None and not evaluated:
            self._evaluate(self._make_controller())
        self._save()
        self.state.sync()
        self.state.read_best()

    def _path(self, name: str) -> pathlib.Path:
        """A file of the run; workers other than the first write theirs aside."""
        return self.output_dir / (
            name if self.chief else f"other_workers/{worker_name(self.strategy)}/{name}"
        )

    # Data.

    def _start_phase(self, phase: int) -> None:
        settings = self.settings
        first = settings.end_of_phase(phase) - settings.phases[phase].steps
        if self.step == first:
            self.trainer.position.assign([0, 0, 0])
        position = tuple(self.trainer.position.numpy().tolist())
        size = settings.phases[phase].batch_size
        self.trainer.train_dataset = self._distribute(
            size, lambda rows: self.data.training(phase, position, rows)
        )

    def _distribute(self, batch_size: int, make: Callable[[Rows], tf.data.Dataset]) -> Any:
        """Batches dealt out in order: each replica has the same rows whatever the workers."""

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            size = batch_size // context.num_replicas_in_sync
            local = context.num_replicas_in_sync // context.num_input_pipelines
            first = context.input_pipeline_id * local
            rows = tuple(((first + i) * size, (first + i + 1) * size) for i in range(local))
            return make(rows)

        return self.strategy.distribute_datasets_from_function(of_worker)

    # Evaluation, checkpoints, log.

    def _make_controller(self) -> orbit.Controller:
        evaluator = None
        if self.data.evaluation is not None:
            evaluation, size = self.data.evaluation, self.data.evaluation_batch
            evaluator = PretrainingEvaluator(
                self.task, self.strategy, lambda: self._distribute(size, evaluation)
            )
        return orbit.Controller(
            global_step=self.state.step_variable,
            trainer=self.trainer,
            evaluator=evaluator,
            strategy=self.strategy,
            steps_per_loop=self.settings.steps_per_loop,
            train_actions=[self._log_training],
            eval_actions=[self._log_evaluation],
            summary_dir=str(self._path("tensorboard")),
        )

    def _evaluate(self, controller: orbit.Controller) -> None:
        if self.data.evaluation is None:
            return
        with _quietly():
            metrics = controller.evaluate()
        self.state.keep_if_best(float(metrics["eval_loss"]))
        self._write_report()
        self._lap = time.monotonic()

    def _log_training(self, output: dict[str, Any]) -> None:
        """Adds rates to a loop's metrics, writes them down and shows them."""
        now = time.monotonic()
        lap, self._lap = max(now - self._lap, 1e-9), now
        settings, step = self.settings, self.step
        sums = ("examples", "tokens", "slots", "waited_seconds")
        examples, tokens, slots, waited = (output.pop(name) for name in sums)
        output |= {
            "learning_rate": float(self._schedule(step - 1)),
            "examples_per_second": examples / lap,
            "tokens_per_second": tokens / lap,
            "padding": 1.0 - tokens / max(slots, 1.0),
            "input_wait": waited / lap,
        }
        if self._flops_of is not None and self._peak_flops:
            flops = self._flops_of(settings.phases[self._phase]) * output["examples_per_second"]
            output["flop_utilisation"] = flops / self._peak_flops
        row = {"step": step, "seconds": round(self._seconds(), 3), **output}
        self.log.append(row)
        self.say(progress_line(row, settings.total_steps, self.log.rows))

    def _log_evaluation(self, output: dict[str, Any]) -> None:
        row = {"step": self.step, "seconds": round(self._seconds(), 3), **output}
        self.log.append(row)
        shown = "  ".join(f"{name.removeprefix('eval_')} {output[name]:.4g}" for name in output)
        self.say(f"held out at step {self.step}: {shown}")

    def _seconds(self) -> float:
        return self.state.standing.seconds + time.monotonic() - self._began

    def _save(self) -> None:
        self.state.standing.seconds, self._began = self._seconds(), time.monotonic()
        self.state.save()

    def _write_report(self) -> None:
        if self.chief and self.log.rows:
            write_report(self.output_dir / "report.html", self.log.rows, self._described)

    def _stopping(self, preemption: Preemption) -> bool:
        """Whether any worker was asked to stop: all stop after the same step."""
        asked = preemption.received is not None
        if not isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return asked
        value = tf.constant(1.0 if asked else 0.0)
        everywhere = self.strategy.run(
            lambda: tf.distribute.get_replica_context().all_reduce("sum", value)
        )
        return float(self.strategy.experimental_local_results(everywhere)[0]) > 0


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hides what Orbit prints; this run has lines of its own."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
