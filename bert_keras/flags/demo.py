"""Flags of `bert-keras demo`."""

from __future__ import annotations

from absl import flags


def define() -> flags.FlagValues:
    """Where the demo leaves its files."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "output_dir",
        "bert_keras_demo",
        "where data, model and servable go; a second run reuses them",
        flag_values=values,
    )
    return values
