"""Flags that several verbs share."""

from __future__ import annotations

from absl import flags


def define_columns(values: flags.FlagValues) -> None:
    """Defines which columns of the data to read and how its files are written."""
    for name, meaning in (
        ("text_column", "column of the text; found by its usual names"),
        ("pair_column", "column of the second text, if any"),
        ("label_column", "column of the label; found by its usual names"),
    ):
        flags.DEFINE_string(
            name,
            None,
            f"{meaning}; or its number, from 1, in a file without a header",
            flag_values=values,
        )
    define_encoding(values)
    flags.DEFINE_enum(
        "quotes",
        "auto",
        ["auto", "csv", "none"],
        "in tables of separated values: csv where quotation marks enclose fields, none where they "
        "are characters like any other; auto goes by the file's ending and what it shows",
        flag_values=values,
    )
    flags.DEFINE_string(
        "tfds_dir", None, "where TFDS data lies, for tfds:NAME/CONFIG:SPLIT", flag_values=values
    )


def define_encoding(values: flags.FlagValues) -> None:
    """Defines the encoding of text files."""
    flags.DEFINE_string(
        "encoding", "utf-8", "of text files, such as cp1252 or gb18030", flag_values=values
    )


def define_bad_rows(values: flags.FlagValues) -> None:
    """Defines what becomes of rows that cannot be used."""
    flags.DEFINE_enum(
        "bad_rows",
        "error",
        ["error", "skip"],
        "rows that cannot be used: error stops at the first, skip leaves them out, counts them and "
        "says why",
        flag_values=values,
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
