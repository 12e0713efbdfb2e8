"""metrics.jsonl continues after a kill as if there had been none."""

from __future__ import annotations

import json

from bert_keras.training.training_log import TrainingLog, read_rows


def _write(path, steps):
    path.write_text("".join(json.dumps({"step": step, "loss": step / 10}) + "\n" for step in steps))


def test_rows_after_the_checkpoint_are_dropped_and_training_goes_on(tmp_path):
    path = tmp_path / "metrics.jsonl"
    _write(path, [10, 20, 30, 40])
    log = TrainingLog(path, step=20)
    log.append({"step": 30, "loss": 9.0})
    assert [row["step"] for row in read_rows(path)] == [10, 20, 30]
    assert read_rows(path)[-1]["loss"] == 9.0
    assert log.rows == read_rows(path)


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    _write(path, [10, 20])
    whole = path.read_text()
    for cut in range(1, 20):
        path.write_text(whole[:-cut])
        log = TrainingLog(path, step=20)
        # The last character is the line's end, without which the row is still whole.
        assert [row["step"] for row in log.rows] == ([10, 20] if cut == 1 else [10])
        log.append({"step": 20, "loss": 1.0})
        assert read_rows(path)[-1] == {"step": 20, "loss": 1.0}


def test_a_new_run_begins_with_an_empty_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    _write(path, [10, 20])
    assert TrainingLog(path, step=0).rows == []
    assert path.read_text() == ""
