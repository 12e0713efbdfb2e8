"""Flags of `bert-keras pretrain`."""

from __future__ import annotations

from absl import flags

from bert_keras.flags import common
from bert_keras.flags.corpus import define_documents, define_sentences
from bert_keras.flags.masking import define_masking

REQUIRED = ("corpus", "init", "output_dir", "steps")


def define() -> flags.FlagValues:
    """What to train, on what, how, and where to put it."""
    values = flags.FlagValues()
    _define_model(values)
    _define_data(values)
    _define_recipe(values)
    _define_schedule(values)
    _define_run(values)
    return values


def _define_model(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "init",
        None,
        "size:tiny (mini, small, medium, base, large, L-4_H-256) for random weights, or a "
        "checkpoint to go on from: a model directory, a Google TF1 directory, kerashub:NAME",
        flag_values=values,
    )
    flags.DEFINE_string(
        "vocab",
        None,
        "vocabulary file, for text with --init=size:…; a store has its own",
        flag_values=values,
    )
    common.define_case(values)
    flags.DEFINE_float(
        "dropout",
        None,
        "probability of dropout, hidden and attention; by default the model's own, 0.1",
        lower_bound=0.0,
        upper_bound=0.99,
        flag_values=values,
    )
    flags.DEFINE_float(
        "initializer_range",
        None,
        "standard deviation of random weights; by default 0.02",
        lower_bound=0.0,
        flag_values=values,
    )


def _define_data(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "corpus",
        None,
        "a store made by `bert-keras prepare`, text files (glob), or .tfrecord files in the "
        "format of google-research/bert (glob)",
        flag_values=values,
    )
    flags.DEFINE_string("eval_corpus", None, "held-out data, of the same kinds", flag_values=values)
    flags.DEFINE_integer(
        "eval_examples",
        1000,
        "held-out examples to evaluate on",
        lower_bound=1,
        flag_values=values,
    )
    define_documents(values)
    define_sentences(values)
    flags.DEFINE_enum(
        "objective",
        "mlm+nsp",
        ["mlm+nsp", "mlm"],
        "masked words and next sentence, or masked words alone on rows packed full",
        flag_values=values,
    )
    define_masking(values)
    flags.DEFINE_integer(
        "reader_threads",
        2,
        "threads that make examples; any number gives the same ones",
        lower_bound=1,
        flag_values=values,
    )


def _define_recipe(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "steps", None, "updates; a number for each phase, separated by commas", flag_values=values
    )
    flags.DEFINE_list(
        "seq_length", ["128"], "tokens in an example; one for each phase", flag_values=values
    )
    flags.DEFINE_list(
        "batch_size",
        ["256"],
        "examples in an update, over all devices; one for each phase",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "accumulate",
        1,
        "parts that each device cuts its share of a batch into, to save memory",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "optimizer", "adamw", ["adamw", "lamb"], "what makes the updates", flag_values=values
    )
    flags.DEFINE_boolean(
        "bias_correction",
        True,
        "correct the moments for their start at zero; google-research/bert does not",
        flag_values=values,
    )
    common.define_regularisation(values)


def _define_schedule(values: flags.FlagValues) -> None:
    flags.DEFINE_float(
        "learning_rate", 1e-4, "highest learning rate", lower_bound=0.0, flag_values=values
    )
    flags.DEFINE_integer(
        "warmup_steps",
        None,
        "updates over which the learning rate rises; by default a tenth of them, at most 10,000",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "decay",
        "linear",
        ["linear", "cosine", "polynomial", "constant"],
        "how the learning rate falls to 0 after that",
        flag_values=values,
    )
    flags.DEFINE_float(
        "power", 0.5, "exponent of --decay=polynomial", lower_bound=0.0, flag_values=values
    )
    flags.DEFINE_enum(
        "decay_from",
        "start",
        ["start", "peak"],
        "whether the decay spans the whole run, as in google-research/bert, or the steps after "
        "the warm-up",
        flag_values=values,
    )


def _define_run(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "output_dir", None, "where model, checkpoints and curves go", flag_values=values
    )
    common.define_precision(values)
    flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "one_device", "mirrored", "multi_worker", "tpu"],
        "devices to train on; auto mirrors over several GPUs",
        flag_values=values,
    )
    flags.DEFINE_string("tpu", None, "name or address of the TPU", flag_values=values)
    for name, default, meaning in (
        ("steps_per_loop", 20, "updates between two lines of progress"),
        ("checkpoint_every", 1000, "updates between checkpoints"),
        ("keep_checkpoints", 3, "checkpoints to keep"),
    ):
        flags.DEFINE_integer(name, default, meaning, lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "eval_every",
        0,
        "updates between evaluations on --eval_corpus; 0 evaluates at the end",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "peak_tflops",
        None,
        "the device's best, for the utilisation shown; by default it is measured",
        lower_bound=0.0,
        flag_values=values,
    )
    common.define_seed(values, "of weights, examples and dropout")
