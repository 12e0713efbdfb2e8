"""WarmupDecay against the published rules."""

from __future__ import annotations

import math

import pytest

from bert_keras.optimization import WarmupDecay

PEAK, TOTAL, WARMUP = 2e-5, 200, 20


def _rates(**arguments) -> list[float]:
    schedule = WarmupDecay(PEAK, TOTAL, **{"warmup_steps": WARMUP, **arguments})
    return [float(schedule(step)) for step in range(TOTAL + 1)]


def test_linear_from_the_peak_is_transformers_rule():
    expected = [
        PEAK * (s / WARMUP if s < WARMUP else (TOTAL - s) / (TOTAL - WARMUP))
        for s in range(TOTAL + 1)
    ]
    assert _rates() == pytest.approx(expected, abs=1e-11)


def test_linear_from_the_start_is_google_s_rule_with_its_drop():
    expected = [PEAK * (s / WARMUP if s < WARMUP else 1 - s / TOTAL) for s in range(TOTAL + 1)]
    rates = _rates(decay_from="start")
    assert rates == pytest.approx(expected, abs=1e-11)
    assert rates[WARMUP - 1] > rates[WARMUP] == pytest.approx(PEAK * 0.9)


def test_cosine_and_polynomial():
    def progress(step: int) -> float:
        return (step - WARMUP) / (TOTAL - WARMUP)

    cosine, squared = _rates(decay="cosine"), _rates(decay="polynomial", power=2.0)
    for step in range(WARMUP, TOTAL + 1):
        half_wave = 0.5 * (1 + math.cos(math.pi * progress(step)))
        assert cosine[step] == pytest.approx(PEAK * half_wave, abs=1e-11)
        assert squared[step] == pytest.approx(PEAK * (1 - progress(step)) ** 2, abs=1e-11)


def test_every_decay_over_the_whole_run():
    shapes = {
        "cosine": lambda share: 0.5 * (1 + math.cos(math.pi * share)),
        "polynomial": lambda share: (1 - share) ** 0.5,
    }
    for decay, shape in shapes.items():
        rates = _rates(decay=decay, power=0.5, decay_from="start")
        for step in range(TOTAL + 1):
            expected = PEAK * (step / WARMUP if step < WARMUP else shape(step / TOTAL))
            assert rates[step] == pytest.approx(expected, abs=1e-11), (decay, step)


def test_ratio_constant_and_beyond_the_end():
    rates = _rates(warmup_steps=None, warmup_ratio=0.25, decay="constant")
    assert rates[49] < rates[50] == pytest.approx(PEAK) == rates[200]
    assert float(WarmupDecay(PEAK, 10, 0)(50)) == 0.0
    assert float(WarmupDecay(PEAK, 10, 0)(0)) == pytest.approx(PEAK)


def test_an_unresolved_schedule_says_what_is_missing():
    schedule = WarmupDecay(PEAK)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        schedule(0)
    schedule.resolve(10)
    assert float(schedule(1)) == pytest.approx(PEAK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": "step"}, "received 'step'"),
        ({"decay_from": "end"}, "received 'end'"),
        ({"warmup_ratio": 2}, "received 2"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        WarmupDecay(PEAK, **arguments)


def test_a_second_run_warms_up_anew():
    schedule = WarmupDecay(PEAK, 20, 5)
    first = [float(schedule(step)) for step in range(21)]
    schedule.resolve(20, first_step=100)
    assert [float(schedule(100 + step)) for step in range(21)] == pytest.approx(first)


def test_config_round_trip():
    schedule = WarmupDecay(PEAK, 50, 5, decay="polynomial", power=0.5, decay_from="start")
    copy = WarmupDecay.from_config(schedule.get_config())
    assert [float(copy(s)) for s in range(50)] == [float(schedule(s)) for s in range(50)]
