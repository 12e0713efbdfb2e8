"""How long training waits for its input, measured inside the TensorFlow loop."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf


class InputWait:
    """Adds up the seconds for which a loop of this process stands still for its next batch.

    On a CPU, where an update is over before the next batch is asked for, this is the time in
    which the device has nothing to do. A GPU or a TPU may still be busy with earlier updates, so
    there it is the most that the device can have been idle for.

    Attributes:
        seconds: waited since the last `reset`.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def reset(self) -> None:
        """Starts anew."""
        self.seconds = 0.0

    def next(self, iterator: Any) -> Any:
        """The iterator's next element, timed; in a graph or eagerly."""
        # Python's clock: TensorFlow's refuses to run while operations are deterministic.
        began = tf.numpy_function(time.monotonic, [], tf.float64)
        with tf.control_dependencies([began]):
            element = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(element, expand_composites=True)):
            tf.numpy_function(self._add, [began], [])
        return element

    def _add(self, began: np.float64) -> None:
        self.seconds += time.monotonic() - float(began)
