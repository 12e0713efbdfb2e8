"""`bert-keras demo`: the whole road on this machine, offline."""

from __future__ import annotations

import logging
import os
import pathlib

from absl import flags

from bert_keras.demo.run import run_demo


def run(values: flags.FlagValues) -> int:
    """Leaves data, model and servable under `--output_dir`."""
    # The demo tells a story; TensorFlow's remarks about drivers and graphs are no part of it.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    run_demo(pathlib.Path(values.output_dir))
    return 0
