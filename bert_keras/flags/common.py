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


def define_regularisation(values: flags.FlagValues) -> None:
    """Weight decay, and the bound on the gradient."""
    flags.DEFINE_float(
        "weight_decay",
        0.01,
        "decoupled decay of all weights but biases and layer norms",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "clip_norm",
        1.0,
        "largest norm of the whole gradient; 0 does not clip",
        lower_bound=0.0,
        flag_values=values,
    )


def define_precision(values: flags.FlagValues) -> None:
    """The dtype of the computation."""
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "bfloat16"],
        "of the computation; weights stay float32",
        flag_values=values,
    )


def define_case(values: flags.FlagValues) -> None:
    """Whether the vocabulary of `--vocab` is a cased one."""
    flags.DEFINE_boolean(
        "cased",
        False,
        "with --vocab: keep case and accents, as the vocabulary does",
        flag_values=values,
    )


def define_seed(values: flags.FlagValues, what: str) -> None:
    """The seed of everything random."""
    flags.DEFINE_integer("seed", 0, what, lower_bound=0, upper_bound=2**31 - 1, flag_values=values)
