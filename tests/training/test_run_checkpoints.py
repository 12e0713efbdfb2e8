"""Checkpoints of a run: what is damaged is passed over, and never taken for the run's."""

from __future__ import annotations

import logging
import pathlib
import random

import pytest
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.training.run_checkpoints import RunCheckpoints, numbers_in
from tests.training.damages import DAMAGES, damage, snapshot

RUN = {"learning_rate": 0.1, "labels": ["a", "b"]}
FILES = ("weights.data-00000-of-00001", "weights.index", "checkpoint.json")


def _checkpoints(folder: pathlib.Path, run=None, keep=2) -> tuple[RunCheckpoints, tf.Variable]:
    variable = tf.Variable([0.0] * 50)
    checkpoint = tf.train.Checkpoint(variable=variable)
    return RunCheckpoints(folder, checkpoint, run or RUN, keep), variable


def _saved(folder: pathlib.Path, *numbers: int, **settings) -> None:
    checkpoints, variable = _checkpoints(folder, **settings)
    for number in numbers:
        variable.assign([float(number)] * 50)
        checkpoints.save(number)


def test_the_newest_is_read_and_the_older_ones_go(tmp_path):
    _saved(tmp_path, 2, 4, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt-10", "ckpt-4"]
    assert sorted(path.name for path in (tmp_path / "ckpt-4").iterdir()) == sorted(FILES)
    checkpoints, variable = _checkpoints(tmp_path)
    assert checkpoints.restore() == 10 and variable.numpy()[0] == 10.0
    assert _checkpoints(tmp_path / "none")[0].restore() is None


@pytest.mark.parametrize("kind", DAMAGES)
def test_any_damage_of_the_newest_leads_to_the_one_before(tmp_path, kind, caplog):
    for file in FILES:
        folder = tmp_path / file
        _saved(folder, 4, 6)
        damage(folder / "ckpt-6" / file, kind, random.Random(kind + file), folder / "ckpt-4" / file)
        checkpoints, variable = _checkpoints(folder)
        if kind == "swap":
            # Both are damaged then.
            before = snapshot(folder)
            with pytest.raises(
                UserError, match="ckpt-6.*damaged.*ckpt-4.*choose another"
            ) as caught:
                checkpoints.restore()
            assert "\n" not in str(caught.value) and snapshot(folder) == before
            continue
        with caplog.at_level(logging.WARNING):
            assert checkpoints.restore() == 4 and variable.numpy()[0] == 4.0
        assert "is damaged or missing; going on from ckpt-4" in caplog.text
        # The damaged one is no checkpoint of the two that stay.
        checkpoints.save(5)
        assert numbers_in(folder) == {4, 5}


def test_a_flipped_bit_anywhere_is_noticed(tmp_path):
    _saved(tmp_path, 1)
    checkpoints, _ = _checkpoints(tmp_path)
    for path in sorted((tmp_path / "ckpt-1").iterdir()):
        whole = path.read_bytes()
        for place in range(0, len(whole), max(len(whole) // 40, 1)):
            flipped = bytearray(whole)
            flipped[place] ^= 1
            path.write_bytes(flipped)
            # White space of the description says nothing.
            if path.suffix == ".json" and flipped[place : place + 1].isspace():
                continue
            with pytest.raises(UserError):
                checkpoints.restore()
        path.write_bytes(whole)
    assert checkpoints.restore() == 1


def test_a_checkpoint_of_another_run_or_model_is_not_read(tmp_path):
    _saved(tmp_path, 3)
    with pytest.raises(UserError, match="ckpt-3: is of another run"):
        _checkpoints(tmp_path, {**RUN, "learning_rate": 0.2})[0].restore()
    other = RunCheckpoints(tmp_path, tf.train.Checkpoint(other=tf.Variable(1)), RUN)
    with pytest.raises(UserError, match="ckpt-3: cannot be read"):
        other.restore()


def test_what_a_killed_writer_left_is_no_checkpoint_and_goes_with_the_next(tmp_path):
    (tmp_path / ".partial" / "weights_temp").mkdir(parents=True)
    (tmp_path / ".partial" / "weights.index").write_bytes(b"half")
    checkpoints, _ = _checkpoints(tmp_path)
    assert checkpoints.restore() is None
    checkpoints.save(6)
    assert [path.name for path in tmp_path.iterdir()] == ["ckpt-6"]


def test_in_the_background_it_is_the_same(tmp_path):
    checkpoints, variable = _checkpoints(tmp_path)
    for number in (1, 2, 3):
        variable.assign([float(number)] * 50)
        checkpoints.save(number, in_background=True)
        variable.assign([99.0] * 50)
    checkpoints.sync()
    again, variable = _checkpoints(tmp_path)
    assert again.restore() == 3 and variable.numpy()[0] == 3.0
    assert numbers_in(tmp_path) == {2, 3}


def test_what_cannot_be_gone_on_from_is_passed_over(tmp_path):
    from bert_keras.training.run_checkpoints import DamagedCheckpointError

    _saved(tmp_path, 1, 2)
    checkpoints, variable = _checkpoints(tmp_path)

    def accept():
        if variable.numpy()[0] == 2.0:
            raise DamagedCheckpointError("the best weights are gone")

    assert checkpoints.restore(accept) == 1
