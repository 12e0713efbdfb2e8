"""Flags of `bert-keras examples`."""

from __future__ import annotations

from absl import flags

from bert_keras.flags.masking import define_masking

REQUIRED = ("corpus", "output")


def define() -> flags.FlagValues:
    """From which store to which files, and what the examples look like."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "corpus", None, "a corpus store, as `bert-keras prepare` makes it", flag_values=values
    )
    flags.DEFINE_string(
        "output",
        None,
        "beginning of the files' names: PREFIX gives PREFIX-00000-of-00001.tfrecord",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "shards", 1, "files to spread the examples over", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "seq_length", 128, "tokens of an example, special ones counted", flag_values=values
    )
    define_masking(values)
    flags.DEFINE_integer(
        "dupe_factor",
        10,
        "times to go through the corpus, each with other pairs and masks",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "use_v2_feature_names",
        False,
        "Model Garden's second names: input_word_ids and input_type_ids",
        flag_values=values,
    )
    flags.DEFINE_integer("seed", 0, "of everything random", flag_values=values)
    return values
