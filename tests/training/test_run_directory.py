"""The directory of a run belongs to one run, and to one program at a time."""

from __future__ import annotations

import pytest
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.training.run_checkpoints import RunCheckpoints
from bert_keras.training.run_directory import claimed_directory

RUN = {"learning_rate": 1e-3, "labels": ["a", "b"]}


def _claim(folder, run, noted=None):
    with claimed_directory(folder, run, noted):
        pass


def _save(folder, run):
    checkpoint = tf.train.Checkpoint(variable=tf.Variable(1.0))
    RunCheckpoints(folder / "checkpoints", checkpoint, run).save(1)


def test_a_folder_belongs_to_one_run(tmp_path):
    _claim(tmp_path, {**RUN, "learning_rate": 5.0})
    # Without a checkpoint there is nothing to lose: the next run takes the folder over.
    _claim(tmp_path, RUN)
    _save(tmp_path, RUN)
    _claim(tmp_path, RUN)
    with pytest.raises(UserError, match=r"learning_rate=0.001, received 0.01; choose another"):
        _claim(tmp_path, {**RUN, "learning_rate": 1e-2})


@pytest.mark.parametrize("left", ["{torn", '{"learning_rate": 5.0}', None])
def test_the_checkpoint_says_whose_it_is_and_the_file_is_made_again(tmp_path, left):
    _claim(tmp_path, RUN, {"train": "a.tsv"})
    whole = (tmp_path / "run.json").read_text()
    _save(tmp_path, RUN)
    (tmp_path / "run.json").unlink()
    if left is not None:
        (tmp_path / "run.json").write_text(left)
    with pytest.raises(UserError, match="holds a run with learning_rate=0.001, received 5.0"):
        _claim(tmp_path, {**RUN, "learning_rate": 5.0})
    assert (tmp_path / "run.json").exists() == (left is not None)
    _claim(tmp_path, RUN, {"train": "a.tsv"})
    assert (tmp_path / "run.json").read_text() == whole


def test_checkpoints_that_do_not_say_whose_they_are_stay(tmp_path):
    _save(tmp_path, RUN)
    (tmp_path / "checkpoints" / "ckpt-1" / "checkpoint.json").write_text("")
    with pytest.raises(UserError, match="ckpt-1/checkpoint.json: is damaged or missing; copy"):
        _claim(tmp_path, RUN)
    assert (tmp_path / "checkpoints" / "ckpt-1" / "weights.index").exists()


def test_two_programs_at_once(tmp_path):
    with claimed_directory(tmp_path, RUN):
        with pytest.raises(UserError, match=f"--output_dir={tmp_path}: another run is at work"):
            _claim(tmp_path, RUN)
    _claim(tmp_path, RUN)
