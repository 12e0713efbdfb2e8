"""The time that a loop waits for its input: all of it, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config

from bert_keras.training.input_wait import InputWait

_STEPS = 8
_PAUSE = 0.05  # seconds


def _source(pause: float, done: Callable[[], object] = lambda: None) -> tf.data.Dataset:
    def elements():
        while True:
            time.sleep(pause)
            done()
            yield {"x": 1.0}

    dataset = tf.data.Dataset.from_generator(
        elements, output_signature={"x": tf.TensorSpec([], tf.float32)}
    )
    options = tf.data.Options()
    # It would make elements ahead by itself.
    options.autotune.enabled = False
    return dataset.with_options(options)


def _times(
    iterator, step_pause: float, step: Callable[[], object] = lambda: None
) -> tuple[float, float]:
    """Seconds waited and seconds in all of a loop whose steps do `step` and take so long."""
    wait = InputWait()

    def pause() -> None:
        step()
        time.sleep(step_pause)

    @tf.function
    def loop(iterator):
        for _ in tf.range(_STEPS):
            element = wait.next(iterator)
            # An update needs its batch.
            with tf.control_dependencies(tf.nest.flatten(element, expand_composites=True)):
                tf.py_function(pause, [], [])

    loop(iterator)
    wait.reset()
    began = time.monotonic()
    loop(iterator)
    return wait.seconds, time.monotonic() - began


# However busy the machine: a pause is never shorter than it says.
_WAITED = 0.99 * _STEPS * _PAUSE


def test_a_slow_source_is_waited_for_all_the_time():
    waited, total = _times(iter(_source(_PAUSE)), 0.0)
    assert _WAITED <= waited <= total


def test_a_fast_source_is_not_waited_for():
    waited, total = _times(iter(_source(0.0)), _PAUSE)
    assert 0.0 < waited <= total - _WAITED


def test_waiting_and_working_take_turns():
    waited, total = _times(iter(_source(_PAUSE)), _PAUSE)
    assert _WAITED <= waited <= total - _WAITED


@pytest.fixture
def without_op_determinism():
    """TensorFlow takes prefetch out of deterministic pipelines; other tests switch it on."""
    enabled = tf_config.is_op_determinism_enabled()
    tf_config.disable_op_determinism()
    yield
    if enabled:
        tf_config.enable_op_determinism()


def test_what_is_made_meanwhile_is_not_waited_for(without_op_determinism):
    made = threading.Semaphore(0)
    source = _source(2 * _PAUSE, made.release).prefetch(2)
    elements = iter([2])

    def step() -> None:
        # It ends when the next element has been made too, however busy the machine.
        for _ in range(next(elements, 1)):
            assert made.acquire(timeout=60)

    waited, _ = _times(iter(source), 0.0, step)
    assert waited < _WAITED  # half of what making them took


@pytest.mark.slow
def test_several_replicas(two_replicas):
    def distributed(pause):
        return iter(two_replicas.experimental_distribute_dataset(_source(pause).batch(2)))

    waited, total = _times(distributed(_PAUSE), 0.0)
    # A few elements are made beforehand.
    assert 0.5 * _WAITED <= waited <= total
    waited, total = _times(distributed(0.0), _PAUSE)
    assert 0.0 < waited <= total - _WAITED


def test_eagerly():
    wait, iterator = InputWait(), iter(_source(_PAUSE))
    for _ in range(3):
        assert float(wait.next(iterator)["x"]) == 1.0
    assert wait.seconds >= 3 * _PAUSE
    wait.reset()
    assert wait.seconds == 0.0
