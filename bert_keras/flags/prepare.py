"""Flags of `bert-keras prepare`."""

from __future__ import annotations

from absl import flags

from bert_keras.flags.corpus import define_corpus, define_sentences, define_threads

REQUIRED = ("corpus", "vocab", "output_dir")


def define() -> flags.FlagValues:
    """Which text, how to cut it, and where the store goes."""
    values = flags.FlagValues()
    define_corpus(values)
    define_sentences(values)
    flags.DEFINE_string("vocab", None, "vocabulary file, one piece a line", flag_values=values)
    flags.DEFINE_boolean("cased", False, "keep case and accents", flag_values=values)
    flags.DEFINE_string(
        "output_dir",
        None,
        "the folder of the store; one that was not finished is gone on with",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "segmenter",
        "none",
        ["none", "jieba"],
        "also mark where words begin, for whole-word masking of Chinese",
        flag_values=values,
    )
    define_threads(values, "pieces of 16 MB worked on at a time")
    flags.DEFINE_string(
        "beam_runner",
        None,
        "run as an Apache Beam pipeline: DirectRunner, DataflowRunner, FlinkRunner, SparkRunner",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "beam_option",
        [],
        "an option of the pipeline such as project=NAME; may be given several times",
        flag_values=values,
    )
    return values
