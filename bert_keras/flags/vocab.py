"""Flags of `bert-keras vocab`."""

from __future__ import annotations

from absl import flags

from bert_keras.flags.corpus import define_corpus

REQUIRED = ("corpus", "output")


def define() -> flags.FlagValues:
    """Which text to learn pieces from, how many, and where they go."""
    values = flags.FlagValues()
    define_corpus(values)
    flags.DEFINE_integer(
        "size", 30522, "pieces wanted, special tokens included", lower_bound=6, flag_values=values
    )
    flags.DEFINE_boolean("cased", False, "keep case and accents", flag_values=values)
    flags.DEFINE_integer(
        "alphabet_size",
        1000,
        "characters kept, the most frequent ones; Chinese needs some 7000",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "min_frequency",
        2,
        "how often two pieces must be neighbours to be joined",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_string("output", None, "the vocabulary file to write", flag_values=values)
    return values
