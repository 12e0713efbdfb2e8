"""The verbs of the command line and their flags; nothing here imports TensorFlow or NumPy."""

from __future__ import annotations

import importlib

from absl import flags

# Each verb with its line in `bert-keras --help`; its flags are in the module of its name.
VERBS: dict[str, str] = {
    "demo": "the whole road on this machine, offline: data, training, export, serving",
    "vocab": "learn a WordPiece vocabulary from text",
    "prepare": "turn text into the tokenized corpus that pretraining reads",
    "examples": "write ready-made pretraining examples in google-research/bert's format",
    "pretrain": "train BERT from text: masked words and next sentences",
    "finetune": "train a task on labelled data",
    "evaluate": "score a model on labelled data",
    "predict": "answer texts with a model or a server, as JSON lines",
    "export": "write a model as a servable for TensorFlow Serving",
    "serve": "answer gRPC requests with exported models (a development server)",
    "convert": "bring a checkpoint into another format, or annotations into tagged sentences",
}

# What absl adds to every set of flags.
ABSL_FLAGS = (
    "flagfile",
    "help",
    "helpfull",
    "helpshort",
    "helpxml",
    "only_check_args",
    "undefok",
)


def define(verb: str) -> flags.FlagValues:
    """A fresh set of the verb's flags, not parsed yet.

    Raises:
        KeyError: there is no such verb.
    """
    if verb not in VERBS:
        raise KeyError(verb)
    values: flags.FlagValues = importlib.import_module(f"bert_keras.flags.{verb}").define()
    return values


def missing(verb: str, values: flags.FlagValues) -> str | None:
    """The first flag that the verb cannot do without and that has no value."""
    required = getattr(importlib.import_module(f"bert_keras.flags.{verb}"), "REQUIRED", ())
    return next((name for name in required if values[name].value is None), None)
