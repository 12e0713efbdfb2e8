"""Threads of TensorFlow; imported before anything else uses it."""

from __future__ import annotations

import tensorflow as tf

from benchmarks.sides.protocol import threads

tf.config.threading.set_intra_op_parallelism_threads(threads())
tf.config.threading.set_inter_op_parallelism_threads(threads())
