"""The pretraining loop: exact resuming, phases, held-out data, and losses that are no number."""

from __future__ import annotations

import os
import shutil
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.training.pretraining import Data, PretrainingRun
from bert_keras.training.pretraining_settings import Phase, PretrainingSettings
from bert_keras.training.training_log import read_rows
from tests import small_pretraining as small

_PHASES = (Phase(steps=7, seq_length=16, batch_size=8), Phase(6, 16, 4))


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    tf.config.experimental.enable_op_determinism()


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the loop may catch it or tidy up."""


def _dataset(phase, position, rows, poison=None):
    """Batch `i` of a phase is made from the seed (phase, i), and the position counts batches."""
    size = _PHASES[phase].batch_size

    def elements():
        index = position[2]
        while True:
            batch = small.features(size, seed=1000 * phase + index)
            if index == poison:
                batch["mask_weights"][0] = np.nan
            index += 1
            for begin, end in rows:
                yield {
                    **{name: value[begin:end] for name, value in batch.items()},
                    "example_ids": np.zeros((end - begin, 3), np.int32),
                    "next_position": np.array([0, 0, index], np.int32),
                }

    count = rows[0][1] - rows[0][0]
    signature = {
        **small.signature(count),
        "example_ids": tf.TensorSpec([count, 3], tf.int32),
        "next_position": tf.TensorSpec([3], tf.int32),
    }
    return tf.data.Dataset.from_generator(elements, output_signature=signature)


def _evaluation(rows):
    return _dataset(0, (0, 0, 500), rows).take(2 * len(rows))


def _run(folder, strategy=None, say=None, data=None, dropout=0.1, **settings):
    strategy = strategy or tf.distribute.get_strategy()
    chosen = {
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "steps_per_loop": 3,
        "checkpoint_every": 4,
        "eval_every": 5,
        "phases": _PHASES,
        **settings,
    }
    with strategy.scope():
        task = small.pretrainer(dropout)
    return PretrainingRun(
        task,
        data or Data(_dataset, _evaluation, 8),
        folder,
        PretrainingSettings(**chosen),
        strategy,
        say=say or (lambda line: None),
    )


def _outcome(run):
    """Weights and the log, but for times."""
    timed = {"seconds", "examples_per_second", "tokens_per_second", "input_wait"}
    rows = [{k: v for k, v in row.items() if k not in timed} for row in run.log.rows]
    return [value.tobytes() for value in small.weights(run.task)], rows


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = _run(tmp_path_factory.mktemp("unbroken"))
    assert run.run().received is None
    return run


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(unbroken, tmp_path):
    # Twice: in the first phase and, after resuming, in the second one.
    for step in (5, 10):

        def die(line, step=step):
            if line.startswith(f"step {step}/"):
                raise Killed

        with pytest.raises(Killed):
            _run(tmp_path, say=die).run()
    lines = []
    run = _run(tmp_path, say=lines.append)
    run.run()
    assert lines[0] == "resuming at step 8 of 13"
    assert _outcome(run) == _outcome(unbroken)
    assert read_rows(tmp_path / "metrics.jsonl") == run.log.rows


@pytest.mark.slow
def test_a_signal_saves_and_stops_and_the_run_goes_on_from_there(unbroken, tmp_path):
    def preempt(line):
        if line.startswith("step 6/"):
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = _run(tmp_path, say=preempt)
    assert stopped.run().exit_status == 143
    assert stopped.step == 6
    assert (tmp_path / "checkpoints" / "ckpt-6.index").exists()
    lines = []
    run = _run(tmp_path, say=lines.append)
    assert run.run().received is None
    assert lines[0] == "resuming at step 6 of 13"
    assert _outcome(run)[0] == _outcome(unbroken)[0]


def test_a_finished_run_is_not_run_again(unbroken):
    lines = []
    again = _run(unbroken.output_dir, say=lines.append)
    again.run()
    assert lines == ["resuming at step 13 of 13"]
    assert _outcome(again) == _outcome(unbroken)


@pytest.mark.slow
def test_phases_follow_each_other(unbroken):
    steps = [row["step"] for row in unbroken.log.rows if "learning_rate" in row]
    # Loops of three, cut short by evaluations, checkpoints and the end of the first phase.
    assert steps == [3, 4, 5, 6, 7, 8, 9, 10, 12, 13]
    asked = []

    def spy(phase, position, rows):
        asked.append((phase, position))
        return _dataset(phase, position, rows)

    folder = unbroken.output_dir.parent / "spied"
    _run(folder, data=Data(spy)).run()
    assert asked == [(0, (0, 0, 0)), (1, (0, 0, 0))]


def test_the_model_has_the_weights_of_the_best_evaluation(unbroken):
    evaluations = [row for row in unbroken.log.rows if "eval_loss" in row]
    assert [row["step"] for row in evaluations] == [5, 10, 13]
    best = min(evaluations, key=lambda row: row["eval_loss"])
    assert unbroken.state.standing.best_step == best["step"]
    totals, weight = {"mlm": 0.0, "nsp": 0.0}, {"mlm": 0.0, "nsp": 0.0}
    for features in _evaluation(((0, 8),)):
        for name, term in unbroken.task.compute_step(features, training=False).terms.items():
            totals[name] += float(term.total)
            weight[name] += float(term.weight)
    assert totals["mlm"] / weight["mlm"] == pytest.approx(best["eval_mlm_loss"], abs=1e-5)
    assert totals["nsp"] / weight["nsp"] == pytest.approx(best["eval_nsp_loss"], abs=1e-5)
    assert best["eval_perplexity"] == pytest.approx(np.exp(best["eval_mlm_loss"]))


def test_so_many_checkpoints_are_kept(unbroken):
    names = sorted(path.name for path in (unbroken.output_dir / "checkpoints").glob("*.index"))
    assert names == ["ckpt-12.index", "ckpt-13.index", "ckpt-8.index"]


@pytest.mark.slow
def test_a_loss_that_is_no_number_names_its_batch_and_spares_the_checkpoint(tmp_path):
    def poisoned(phase, position, rows):
        return _dataset(phase, position, rows, poison=5)

    with pytest.raises(
        FloatingPointError,
        match="not a number at step 6, in the batch from example epoch 0 window 0 index 5 to "
        "before epoch 0 window 0 index 6",
    ):
        _run(tmp_path, data=Data(poisoned), eval_every=0).run()
    run = _run(tmp_path, eval_every=0)
    run.run()
    assert run.step == 13 and np.isfinite(run.log.rows[-1]["eval_loss"])


def test_a_damaged_checkpoint_is_one_clear_error(unbroken, tmp_path):
    folder = shutil.copytree(unbroken.output_dir / "checkpoints", tmp_path / "checkpoints").parent
    latest = "ckpt-13"
    (folder / "checkpoints" / "checkpoint").write_text(f'model_checkpoint_path: "{latest}"\n')
    (folder / "checkpoints" / f"{latest}.data-00000-of-00001").write_bytes(b"torn")
    with pytest.raises(UserError, match=f"{latest}: cannot be read .* delete the folder"):
        _run(folder).run()


@pytest.mark.slow
def test_two_replicas_train_as_one_device(two_replicas, tmp_path):
    runs = []
    for name, strategy in (("one", None), ("two", two_replicas)):
        run = _run(tmp_path / name, strategy, dropout=0.0, learning_rate=1e-3)
        run.run()
        runs.append(run)
    one, two = runs
    difference = small.largest_difference(small.weights(one.task), small.weights(two.task))
    assert 0.0 <= difference < 1e-6
    for a, b in zip(one.log.rows, two.log.rows, strict=True):
        assert a["step"] == b["step"]
        name = "loss" if "loss" in a else "eval_loss"
        assert a[name] == pytest.approx(b[name], abs=1e-5)


@pytest.mark.slow
def test_a_slow_source_shows(unbroken, tmp_path):
    def slow(phase, position, rows):
        def late(element):
            (element["next_position"],) = tf.numpy_function(
                _late, [element["next_position"]], [tf.int32]
            )
            element["next_position"].set_shape([3])
            return element

        return _dataset(phase, position, rows).map(late)

    lines = []
    run = _run(tmp_path, say=lines.append, data=Data(slow), phases=(Phase(6, 16, 8),))
    run.run()
    shares = [row["input_wait"] for row in run.log.rows]
    # The first loop also compiles the step.
    assert all(0.0 < share <= 1.0 for share in shares) and shares[-1] > 0.6
    assert f"input wait {shares[-1]:.1%}" in lines[-1]
    quick = [row["input_wait"] for row in unbroken.log.rows if "input_wait" in row]
    assert len(quick) == 10 and min(quick) < 0.4


def _late(value):
    time.sleep(0.2)
    return [value]


def test_events_and_a_report_are_left(unbroken):
    assert list((unbroken.output_dir / "tensorboard").glob("events.*"))
    assert "</html>" in (unbroken.output_dir / "report.html").read_text()


@pytest.mark.parametrize(
    ("steps", "given", "expected"),
    [((60,), None, 6), ((1,), None, 0), ((900_000, 100_000), None, 10_000), ((60,), 20, 20)],
)
def test_warm_up_is_a_tenth_of_the_steps_and_at_most_ten_thousand(steps, given, expected):
    phases = tuple(Phase(count, 128, 8) for count in steps)
    settings = PretrainingSettings(phases, warmup_steps=given)
    assert settings.resolved_warmup == expected
    rate = settings.schedule()
    assert float(rate(expected)) == pytest.approx(1e-4 * (1 - expected / sum(steps)), rel=1e-3)
