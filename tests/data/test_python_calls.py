"""Programs end while TensorFlow's threads are inside of Python."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tensorflow as tf

from bert_keras.data.python_calls import ends_at_exit, over_before_exit

_GENERATOR = """
@ends_at_exit
def elements():
    for number in range(100):
        time.sleep(0.4 if number else 0)
        yield number
dataset = tf.data.Dataset.from_generator(elements, output_signature=tf.TensorSpec((), tf.int64))
"""
_FUNCTION = """
@over_before_exit
def slow(number):
    time.sleep(0.4 if number else 0)
    return number
dataset = tf.data.Dataset.range(100).map(lambda x: tf.numpy_function(slow, [x], tf.int64))
"""


@pytest.mark.slow
@pytest.mark.parametrize("dataset", [_GENERATOR, _FUNCTION], ids=["generator", "function"])
def test_a_program_ends_while_an_element_is_made(dataset: str) -> None:
    script = f"""
import time
import tensorflow as tf
from bert_keras.data.python_calls import ends_at_exit, over_before_exit
{dataset}
iterator = iter(dataset.prefetch(4))
print(int(next(iterator)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and done.stdout == "0\n", done.stderr


def test_elements_and_errors_pass_through() -> None:
    @ends_at_exit
    def elements(count):
        yield from range(count)
        raise ValueError("an error of its own")

    dataset = tf.data.Dataset.from_generator(
        elements, output_signature=tf.TensorSpec((), tf.int64), args=(3,)
    )
    seen = []
    with pytest.raises(tf.errors.InvalidArgumentError, match="an error of its own"):
        for element in dataset:
            seen.append(int(element))
    assert seen == [0, 1, 2]
    assert over_before_exit(lambda x, y=1: x - y)(3, y=2) == 1
