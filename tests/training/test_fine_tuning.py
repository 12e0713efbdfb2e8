"""The fine-tuning loop: exact resuming, the best epoch, early stopping, claimed folders."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.training_examples import LabelledExamples
from bert_keras.errors import UserError
from bert_keras.training import shape_compilation
from bert_keras.training.fine_tuning import FineTuner, FineTuningSettings
from tests import small


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the loop may catch it or tidy up."""


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    tf.config.experimental.enable_op_determinism()


def _tuner(folder, settings, scores=None, strategy=None, dropout=0.1) -> FineTuner:
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        task = small.classifier(dropout)
    texts, labels = small.sentences(50, seed=5)
    ids = np.asarray([small.LABELS.index(label) for label in labels], np.int32)
    train = LabelledExamples(task.encode(texts), ids)
    dev = task.encode(small.sentences(20, seed=6)[0])

    def evaluate():
        task.raw_outputs(dev)
        score = scores[tuner.progress.epoch - 1]
        return {"accuracy": score, "loss": score}

    tuner = FineTuner(
        task, train, evaluate if scores else None, folder, settings, strategy, say=lambda _: None
    )
    return tuner


def _weights(tuner: FineTuner) -> list[np.ndarray]:
    return [np.asarray(tf.convert_to_tensor(weight.value)) for weight in tuner.task.weights]


SETTINGS = FineTuningSettings(epochs=3, batch_size=8, learning_rate=1e-3, checkpoint_every=2)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    tuner = _tuner(tmp_path_factory.mktemp("unbroken"), SETTINGS, scores=[0.5, 0.9, 0.7])
    progress = tuner.run()
    return _weights(tuner), progress


@pytest.mark.parametrize(
    ("metric", "best"), [pytest.param("accuracy", 1, marks=pytest.mark.slow), ("loss", 2)]
)
def test_of_losses_the_least_is_the_best(tmp_path, metric, best):
    settings = dataclasses.replace(SETTINGS, best_metric=metric, epochs=3)
    progress = _tuner(tmp_path, settings, scores=[0.9, 0.2, 0.5]).run()
    assert progress.best_epoch == best


def _run_until_killed(tuner: FineTuner, step: int) -> None:
    """Runs, and dies before the given update (counted from the start of this process)."""
    function, count = tuner._step_function, iter(range(10**6))

    def dying(iterator, sums):
        if next(count) == step:
            raise Killed
        return function(iterator, sums)

    tuner._step_function = dying
    with pytest.raises(Killed):
        tuner.run()


# 7 updates an epoch: in the first, right after a checkpoint, at an epoch's end, twice.
@pytest.mark.parametrize(
    "kills",
    [[16, 4], *(pytest.param(steps, marks=pytest.mark.slow) for steps in ([1], [2], [7], [9, 3]))],
)
def test_a_killed_run_ends_with_bitwise_the_same_weights(tmp_path, unbroken, kills):
    for step in kills:
        _run_until_killed(_tuner(tmp_path, SETTINGS, scores=[0.5, 0.9, 0.7]), step)
    tuner = _tuner(tmp_path, SETTINGS, scores=[0.5, 0.9, 0.7])
    progress = tuner.run()
    expected, unbroken_progress = unbroken
    for got, want in zip(_weights(tuner), expected, strict=True):
        np.testing.assert_array_equal(got, want)
    assert progress.history == unbroken_progress.history
    assert progress.best_epoch == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "replicas"),
    [({"batch_tokens": 40, "batch_size": None}, 2), ({"batching": "packed"}, 1)],
    ids=str,
)
def test_any_batches_go_on_where_they_were(tmp_path, kind, replicas, two_replicas):
    settings = dataclasses.replace(SETTINGS, epochs=2, **kind)
    strategy = two_replicas if replicas == 2 else None
    whole = _tuner(tmp_path / "whole", settings, strategy=strategy)
    history = whole.run().history
    steps = [whole.batches.steps(epoch) for epoch in range(2)]
    _run_until_killed(_tuner(tmp_path / "killed", settings, strategy=strategy), steps[0] + 3)
    resumed = _tuner(tmp_path / "killed", settings, strategy=strategy)
    assert resumed.run().history == history
    optimizer = resumed.task.optimizer
    assert keras.ops.convert_to_numpy(optimizer.iterations.value) == sum(steps)
    # The schedule was laid out for just so many updates, and has come down to 0.
    assert float(tf.convert_to_tensor(optimizer.learning_rate)) == 0.0
    for got, want in zip(_weights(resumed), _weights(whole), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_compiled_for_every_shape_a_run_is_the_same_and_goes_on(tmp_path, monkeypatch):
    settings = dataclasses.replace(SETTINGS, epochs=2)
    plain = _tuner(tmp_path / "plain", settings, dropout=0.0)
    monkeypatch.setattr(shape_compilation, "_ELEMENTS_OF_A_SHAPE", 0)
    names = ("compiled", "dropout", "killed", "killed")
    compiled, dropout, killed, resumed = (
        _tuner(tmp_path / name, settings, dropout=0.1 * bool(number))
        for number, name in enumerate(names)
    )
    assert not plain.batches.rounded and compiled.batches.rounded
    histories = [tuner.run().history for tuner in (plain, compiled, dropout)]
    for one, two in zip(*histories[:2], strict=True):
        assert one["train_loss"] == pytest.approx(two["train_loss"], rel=1e-5)
    _run_until_killed(killed, 9)
    assert resumed.run().history == histories[2]
    for got, want in zip(_weights(resumed), _weights(dropout), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_two_replicas_learn_what_one_does(tmp_path, two_replicas):
    settings = FineTuningSettings(epochs=1, batch_size=8, learning_rate=1e-3, batching="packed")
    one, two = (
        _tuner(tmp_path / name, settings, strategy=strategy, dropout=0.0)
        for name, strategy in (("one", None), ("two", two_replicas))
    )
    rows = [len(two.batches.batch(indices)[0]["token_ids"]) for indices in two.batches.plan(0)]
    # Also where the second replica has no part of a batch.
    assert min(rows) == 1 < max(rows)
    losses = [tuner.run().history[0]["train_loss"] for tuner in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for got, want in zip(_weights(two), _weights(one), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5)


def test_the_sums_are_seldom_read(tmp_path, monkeypatch):
    """To read them is to wait for the device."""
    reads, read = [], FineTuner._read
    monkeypatch.setattr(FineTuner, "_read", lambda self, s: (reads.append(1), read(self, s))[1])
    _tuner(tmp_path, FineTuningSettings(epochs=1, batch_size=1)).run()
    # 50 updates: at the first, at the last, and as often as the progress bar is redrawn.
    assert 2 <= len(reads) < 25


@pytest.mark.slow
def test_killed_while_the_best_weights_are_written(tmp_path, unbroken, monkeypatch):
    tuner = _tuner(tmp_path, SETTINGS, scores=[0.5, 0.9, 0.7])
    write, calls = tuner._best.write, []

    def dying(path):
        calls.append(path)
        if len(calls) == 2:
            for file in (tmp_path / "best").iterdir():
                file.write_bytes(b"torn")
            raise Killed
        return write(path)

    monkeypatch.setattr(tuner._best, "write", dying)
    with pytest.raises(Killed):
        tuner.run()
    again = _tuner(tmp_path, SETTINGS, scores=[0.5, 0.9, 0.7])
    again.run()
    for got, want in zip(_weights(again), unbroken[0], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(tmp_path, unbroken):
    _tuner(tmp_path, SETTINGS, scores=[0.5, 0.9, 0.7]).run()
    again = _tuner(tmp_path, SETTINGS, scores=[0.5, 0.9, 0.7])
    again._step_function = lambda *_: pytest.fail("trained again")
    assert again.run().finished
    for got, want in zip(_weights(again), unbroken[0], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_without_dev_data_the_last_weights_stay(tmp_path, unbroken):
    tuner = _tuner(tmp_path, SETTINGS)
    assert tuner.run().best_epoch == 0
    same = [np.array_equal(a, b) for a, b in zip(_weights(tuner), unbroken[0], strict=True)]
    assert not all(same)


def test_early_stopping(tmp_path):
    settings = FineTuningSettings(epochs=9, batch_size=25, patience=2)
    progress = _tuner(tmp_path, settings, scores=[0.5, 0.6, 0.6, 0.6, 0.9]).run()
    assert progress.epoch == 4 and progress.best_epoch == 2


@pytest.mark.slow
def test_the_order_of_the_data_depends_on_the_seed(tmp_path):
    def weights(name, seed):
        tuner = _tuner(tmp_path / name, FineTuningSettings(epochs=1, batch_size=8, seed=seed))
        tuner.run()
        return _weights(tuner)[0]

    first = weights("first", 0)
    np.testing.assert_array_equal(first, weights("again", 0))
    assert not np.array_equal(first, weights("other", 1))


@pytest.mark.slow
def test_it_learns_on_two_replicas_too(tmp_path, two_replicas):
    settings = FineTuningSettings(epochs=10, batch_size=8, learning_rate=5e-3)
    tuner = _tuner(tmp_path, settings, strategy=two_replicas)
    progress = tuner.run()
    losses = [row["train_loss"] for row in progress.history]
    assert losses[-1] < 0.3 < 0.5 < losses[0]


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    tuner = _tuner(tmp_path, SETTINGS)
    function, calls = tuner._step_function, []

    def poisoned(iterator, sums):
        calls.append(1)
        if len(calls) == 5:
            tuner.task.classifier.bias.assign([np.nan, 0.0])
        return function(iterator, sums)

    tuner._step_function = poisoned
    with pytest.raises(FloatingPointError, match="loss is nan at epoch 1, step 6"):
        tuner.run()
    resumed = _tuner(tmp_path, SETTINGS)
    assert resumed.run().finished
    assert all(np.all(np.isfinite(weight)) for weight in _weights(resumed))


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    _run_until_killed(_tuner(tmp_path, SETTINGS), 5)
    for file in (tmp_path / "checkpoints").glob("*.index"):
        file.write_bytes(b"torn")
    with pytest.raises(UserError, match="cannot be read .*delete the folder") as caught:
        _tuner(tmp_path, SETTINGS).run()
    assert "\n" not in str(caught.value)
