"""The progress line and the estimate of the time left."""

from __future__ import annotations

import pytest

from bert_keras.training.progress_line import progress_line, seconds_left

_ROW = {
    "step": 250,
    "seconds": 100.0,
    "mlm_loss": 6.25,
    "mlm_accuracy": 0.125,
    "nsp_loss": 0.5,
    "nsp_accuracy": 0.75,
    "learning_rate": 1e-4,
    "tokens_per_second": 5432.1,
    "examples_per_second": 42.44,
    "padding": 0.034,
    "input_wait": 0.0712,
}


def test_the_time_left_follows_the_recent_pace():
    rows = [{"step": 0, "seconds": 0.0}, {"step": 10, "seconds": 1000.0}]
    assert seconds_left(100, rows) == pytest.approx(90 * 100)
    # Twenty-one later rows at a tenth of that pace: the slow start no longer counts.
    rows += [{"step": 10 + i, "seconds": 1000.0 + 10 * i} for i in range(1, 22)]
    assert seconds_left(100, rows) == pytest.approx((100 - 31) * 10)


def test_there_is_no_estimate_without_a_pace():
    assert seconds_left(100, []) is None
    assert seconds_left(100, [_ROW]) is None
    assert seconds_left(100, [_ROW, {**_ROW, "seconds": 105.0}]) is None


def test_the_line_has_every_number():
    rows = [{"step": 200, "seconds": 50.0}, _ROW]
    line = progress_line({**_ROW, "flop_utilisation": 0.61}, 1000, rows)
    for part in (
        "step 250/1000 (25.0%)",
        "mlm 6.250 nsp 0.500",
        "acc 0.125/0.750",
        "lr 1.00e-04",
        "5,432 tokens/s",
        "42.4 examples/s",
        "padding 3.4%",
        "input wait 7.1%",
        "MFU 61%",
        "left 0:12:30",
    ):
        assert part in line


def test_without_next_sentence_prediction_it_is_left_out():
    row = {name: value for name, value in _ROW.items() if not name.startswith("nsp")}
    line = progress_line(row, 1000, [])
    assert "nsp" not in line and "acc 0.125 " in line and "left" not in line
