"""Flags of the verbs that make examples: what is masked, and how long examples are."""

from __future__ import annotations

from absl import flags


def define_masking(values: flags.FlagValues) -> None:
    """The masked words of an example, and the share of short ones."""
    flags.DEFINE_enum(
        "masking",
        "token",
        ["token", "whole_word", "ngram"],
        "what is masked as one: a token, a word, or up to --max_ngram words",
        flag_values=values,
    )
    flags.DEFINE_float(
        "mask_rate",
        0.15,
        "share of the tokens to predict",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_predictions",
        None,
        "most tokens to predict in an example; by default --mask_rate of --seq_length",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_ngram",
        3,
        "most words in a row that are masked as one",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_float(
        "short_seq_prob",
        0.1,
        "share of the documents whose examples are made shorter",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
