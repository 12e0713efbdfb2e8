"""Flags of `bert-keras finetune`."""

from __future__ import annotations

import sys

from absl import flags

from bert_keras.flags import common, task_options, transfer

# Written out, so that help needs no model code; a test compares them with the tasks.
_TASKS = [
    "classification",
    "regression",
    "tagging",
    "question_answering",
    "multiple_choice",
    "embedding",
]

REQUIRED = ("init", "train", "output_dir")


def define() -> flags.FlagValues:
    """What to train, on what, how, and where to put it."""
    values = flags.FlagValues()
    _define_model(values)
    _define_data(values)
    task_options.define(values)
    _define_recipe(values)
    _define_run(values)
    return values


def _known_tasks() -> list[str]:
    """The tasks of the library, and those that this process has registered."""
    registry = sys.modules.get("bert_keras.tasks.registry")
    registered = getattr(registry, "TASKS", ())
    return [*_TASKS, *(name for name in registered if name not in _TASKS)]


def _define_model(values: flags.FlagValues) -> None:
    flags.DEFINE_enum("task", "classification", _known_tasks(), "what to learn", flag_values=values)
    flags.DEFINE_string(
        "init",
        None,
        "a model directory, a Google TF1 directory, kerashub:NAME, or size:tiny (mini, small, "
        "medium, base, large, L-4_H-256) for random weights",
        flag_values=values,
    )
    flags.DEFINE_string(
        "vocab", None, "vocabulary file, only with --init=size:…", flag_values=values
    )
    common.define_case(values)
    transfer.define(values)


def _define_data(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "train",
        None,
        "training data: .tsv, .csv, .jsonl or tfds:NAME/CONFIG:SPLIT",
        flag_values=values,
    )
    flags.DEFINE_string(
        "dev", None, "data to score after every epoch; the best epoch is kept", flag_values=values
    )
    common.define_columns(values)
    common.define_bad_rows(values)
    flags.DEFINE_integer(
        "seq_length",
        None,
        "longest input in tokens, longer ones are cut; by default what suits the task: 128 for "
        "classification",
        lower_bound=3,
        flag_values=values,
    )


def _define_recipe(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "epochs", 3, "passes over the training data", lower_bound=1, flag_values=values
    )
    common.define_batch_size(values, 32)
    flags.DEFINE_integer(
        "batch_tokens",
        0,
        "most tokens in a batch, padding included; examples are then not counted, unless "
        "--batch_size is given too: at most so many. 0 counts examples",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "batching",
        "padded",
        ["padded", "packed"],
        "padded: one example a row, similar lengths together; packed: several a row, in random "
        "order",
        flag_values=values,
    )
    flags.DEFINE_float(
        "learning_rate", 5e-5, "highest learning rate", lower_bound=0.0, flag_values=values
    )
    flags.DEFINE_float(
        "warmup_ratio",
        0.1,
        "share of the steps over which the learning rate rises",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    common.define_regularisation(values)
    flags.DEFINE_integer(
        "early_stopping",
        0,
        "epochs without a better score after which to stop; 0 never",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_string(
        "best_metric",
        None,
        "what makes an epoch the best on --dev: a metric of the task, by default its first, or "
        "loss",
        flag_values=values,
    )


def _define_run(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "output_dir", None, "where model, metrics and checkpoints go", flag_values=values
    )
    common.define_precision(values)
    flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "one_device", "mirrored"],
        "devices to train on; auto mirrors over several GPUs",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "checkpoint_every",
        0,
        "steps between checkpoints; 0 writes one at the end of every epoch",
        lower_bound=0,
        flag_values=values,
    )
    common.define_seed(values, "of weights, order and dropout")
