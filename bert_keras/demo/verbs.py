"""The demo does its work through the verbs of the command line, in this process."""

from __future__ import annotations

import importlib
from typing import Any

from bert_keras import flags as verb_flags


def run_verb(verb: str, **arguments: Any) -> None:
    """Runs `bert-keras VERB --NAME=VALUE …`.

    Raises:
        SystemExit: the verb was asked to stop, and has saved what it needs to go on.
        UserError: see the verb.
    """
    values = verb_flags.define(verb)
    values([verb, *(f"--{name}={value}" for name, value in arguments.items())])
    status = importlib.import_module(f"bert_keras.commands.{verb}").run(values)
    if status:
        raise SystemExit(status)
