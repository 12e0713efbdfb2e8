"""Flags of `bert-keras finetune` that belong to some tasks only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import flags

# Which tasks take each of these flags; None, no value, is every flag's default.
TASKS_OF: Mapping[str, tuple[str, ...]] = {
    "labels": ("classification", "tagging"),
    "tag_scheme": ("tagging",),
    "crf": ("tagging",),
}


def define(values: flags.FlagValues) -> None:
    """All of them; a flag that is not given is left to the task's own default."""
    flags.DEFINE_list(
        "labels",
        None,
        "classification, tagging: the labels in order, separated by commas; by default those of "
        "--train, sorted",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "tag_scheme",
        None,
        ["IOB1", "IOB2", "IOBES", "none"],
        "tagging: how the model's tags mark entities, none for tags without prefixes; the data's "
        "tags are converted to it. By default the data's own scheme",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "crf", None, "tagging: also learn which tag follows which", flag_values=values
    )


def given(values: flags.FlagValues) -> dict[str, Any]:
    """The flags that were given, by name."""
    return {name: values[name].value for name in TASKS_OF if values[name].value is not None}
