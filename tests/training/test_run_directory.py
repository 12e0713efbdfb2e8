"""The directory of a run belongs to one run."""

from __future__ import annotations

import pytest

from bert_keras.errors import UserError
from bert_keras.training.run_directory import claim_directory


def test_a_folder_belongs_to_one_run(tmp_path):
    run = {"learning_rate": 1e-3, "labels": ["a", "b"]}
    claim_directory(tmp_path / "out", {**run, "learning_rate": 5.0})
    # Without a checkpoint there is nothing to lose: the next run takes the folder over.
    claim_directory(tmp_path / "out", run)
    (tmp_path / "out" / "checkpoints").mkdir()
    (tmp_path / "out" / "checkpoints" / "checkpoint").write_text("")
    claim_directory(tmp_path / "out", run)
    with pytest.raises(UserError, match=r"learning_rate=0.001, received 0.01; choose another"):
        claim_directory(tmp_path / "out", {**run, "learning_rate": 1e-2})
    (tmp_path / "out" / "run.json").write_text("{torn")
    with pytest.raises(UserError, match="run.json:1: is not JSON"):
        claim_directory(tmp_path / "out", run)
