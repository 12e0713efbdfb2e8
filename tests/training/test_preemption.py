"""A signal to stop is noted once; the second one acts as before."""

from __future__ import annotations

import os
import signal

import pytest

from bert_keras.training.preemption import Preemption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_noted_and_the_second_is_not_caught(number):
    caught = []
    before = signal.signal(number, lambda *_: caught.append(True))
    try:
        with Preemption() as preemption:
            assert preemption.received is None and preemption.exit_status == 0
            os.kill(os.getpid(), number)
            assert preemption.received == number and not caught
            assert preemption.exit_status == 128 + number
            os.kill(os.getpid(), number)
            assert caught == [True]
    finally:
        signal.signal(number, before)


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Preemption():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
