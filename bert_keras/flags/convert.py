"""Flags of `bert-keras convert`."""

from __future__ import annotations

from absl import flags

from bert_keras.flags import common

REQUIRED = ("from", "output")


def define() -> flags.FlagValues:
    """Defines from which checkpoint or annotations to where, and in which format."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "from",
        None,
        "a model directory, a Google TF1 directory, a KerasHub preset directory or kerashub:NAME; "
        "of tagged_sentences a file of CLUENER, doccano, Label Studio or Kaggle",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "to",
        "huggingface",
        ["huggingface", "google_tf1", "onnx", "litert", "tagged_sentences"],
        "the format to write; onnx and litert are for running, without the tokenizer; "
        "tagged_sentences are words and tags from annotations, to train on",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "the directory to write; of onnx, litert and tagged_sentences the file",
        flag_values=values,
    )
    flags.DEFINE_string(
        "hidden_act",
        None,
        "activation in place of the checkpoint's: gelu (exact) or gelu_new (tanh)",
        flag_values=values,
    )
    common.define_encoding(values)
    common.define_bad_rows(values)
    return values
