"""Flags of `bert-keras evaluate`."""

from __future__ import annotations

from absl import flags

from bert_keras.flags import common

REQUIRED = ("model", "data")


def define() -> flags.FlagValues:
    """Which model, on what."""
    values = flags.FlagValues()
    flags.DEFINE_string("model", None, "a model directory with a task", flag_values=values)
    flags.DEFINE_string(
        "data",
        None,
        "labelled data: .tsv, .csv, .jsonl or tfds:NAME/CONFIG:SPLIT",
        flag_values=values,
    )
    common.define_columns(values)
    common.define_bad_rows(values)
    common.define_batch_size(values, 256)
    return values
