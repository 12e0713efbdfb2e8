"""google-research/bert's create_pretraining_data.py."""

from __future__ import annotations

import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import tensorflow.compat.v1 as tf

from benchmarks.sides.protocol import Side


class Prepare(Side):
    """Its `main`, called again and again; TensorFlow 2 still has the names that it uses."""

    settings = "one thread (it has no more), from a sentence a line; examples, dupe_factor 1"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        sys.modules["tensorflow"] = tf
        sys.path.insert(0, work["checkout"])
        import create_pretraining_data

        self._main = create_pretraining_data.main
        self._folder = tempfile.TemporaryDirectory()
        self._size = pathlib.Path(work["text"]).stat().st_size / 1e6
        tf.logging.set_verbosity(tf.logging.ERROR)
        tf.flags.FLAGS(
            [
                "create_pretraining_data",
                f"--input_file={work['lines']}",
                f"--vocab_file={work['vocab']}",
                f"--output_file={self._folder.name}/out.tfrecord",
                "--dupe_factor=1",
                "--do_lower_case=true",
            ]
        )

    def run(self, case: str) -> float:
        self._main(None)
        return self._size
