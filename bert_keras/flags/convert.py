"""Flags of `bert-keras convert`."""

from __future__ import annotations

from absl import flags

REQUIRED = ("from", "output")


def define() -> flags.FlagValues:
    """From which checkpoint to where."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "from",
        None,
        "a model directory, a Google TF1 directory, or kerashub:NAME or a preset directory",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "to", "huggingface", ["huggingface"], "the format to write", flag_values=values
    )
    flags.DEFINE_string("output", None, "the model directory to write", flag_values=values)
    return values
