"""Python that TensorFlow's threads run, over before the interpreter is.

A thread of tf.data that is inside of a Python function, or about to go back into one, when the
interpreter ends never comes out of it, and whoever frees the iterator waits for that thread for
ever. So the program's exit lets such calls come to their end first. Calls that begin later do no
harm: TensorFlow does not make them once the interpreter has begun to end.
"""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

# Seconds without a call after which none is under way: TensorFlow's own part of a call, before
# and behind the function, is seen by nobody, and takes less than a millisecond.
_QUIET = 0.2


class _Calls:
    """The calls under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = 0
        self._last = -_QUIET
        self.ending = False

    def __enter__(self) -> None:
        with self._lock:
            self._active += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._active -= 1
            self._last = time.monotonic()

    def finish(self) -> None:
        """Waits for the calls under way; generators end at their next element."""
        self.ending = True
        while self._active or time.monotonic() - self._last < _QUIET:
            time.sleep(0.01)


_CALLS = _Calls()
atexit.register(_CALLS.finish)


def over_before_exit(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function for `tf.numpy_function`, whose calls the program's exit waits for."""

    @functools.wraps(function)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with _CALLS:
            return function(*args, **kwargs)

    return call


def ends_at_exit(
    function: Callable[_Arguments, Iterator[_Result]],
) -> Callable[_Arguments, Iterator[_Result]]:
    """The generator function for `Dataset.from_generator`; exit waits for the element in work."""

    @functools.wraps(function)
    def generate(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Iterator[_Result]:
        elements = function(*args, **kwargs)
        while not _CALLS.ending:
            with _CALLS:
                try:
                    element = next(elements)
                except StopIteration:
                    return
            yield element

    return generate
