"""Flags that several verbs share."""

from __future__ import annotations

from absl import flags


def define_columns(values: flags.FlagValues) -> None:
    """Which columns of the data to read, and where TFDS keeps its own."""
    flags.DEFINE_string(
        "text_column", None, "column of the text; found by its usual names", flag_values=values
    )
    flags.DEFINE_string(
        "pair_column", None, "column of the second text, if any", flag_values=values
    )
    flags.DEFINE_string(
        "label_column", None, "column of the label; found by its usual names", flag_values=values
    )
    flags.DEFINE_string(
        "tfds_dir", None, "where TFDS data lies, for tfds:NAME/CONFIG:SPLIT", flag_values=values
    )


def define_batch_size(values: flags.FlagValues, default: int) -> None:
    """Examples in a batch."""
    flags.DEFINE_integer(
        "batch_size", default, "examples in a batch", lower_bound=1, flag_values=values
    )
