"""Flags of `bert-keras predict`."""

from __future__ import annotations

from absl import flags

from bert_keras.flags import common


def define() -> flags.FlagValues:
    """Which model or server, from where and to where."""
    values = flags.FlagValues()
    flags.DEFINE_string("model", None, "a model directory with a task", flag_values=values)
    flags.DEFINE_string(
        "server", None, "host:port of a running gRPC server, instead of --model", flag_values=values
    )
    flags.DEFINE_string(
        "model_name", "default", "the model's name on the server", flag_values=values
    )
    flags.DEFINE_string(
        "input",
        "-",
        "texts: .tsv, .csv, .jsonl, .txt (a text a line), tfds:… or - for the standard input",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output",
        "-",
        "where the JSON lines go, - for the standard output; with --features also an .npz file",
        flag_values=values,
    )
    flags.DEFINE_string(
        "features",
        None,
        "write states of layers instead of answers, LAYERS:POOLING, such as -1,-2:none: layers "
        "from 0, the embeddings, or from the last, -1; none for every token, or cls, mean, max",
        flag_values=values,
    )
    flags.DEFINE_string(
        "corpus",
        None,
        "embedding: texts to search for those most like each input, in the same formats",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "top_k",
        None,
        "how many answers an input has, of a task that ranks them: texts of --corpus, "
        "tokens for a [MASK]; 5 by default",
        lower_bound=1,
        flag_values=values,
    )
    common.define_columns(values)
    common.define_batch_size(values, 256)
    return values
