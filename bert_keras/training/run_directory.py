"""The directory of a run: whose it is, and reading what the run left there."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bert_keras.config import read_json
from bert_keras.data.files import write_json
from bert_keras.errors import UserError


def claim_directory(
    output_dir: pathlib.Path, run: dict[str, Any], noted: dict[str, Any] | None = None
) -> None:
    """Marks `output_dir` as that of a run, so that only the same run is ever resumed there.

    Args:
        run: what decides the outcome, by the flags' names; JSON values.
        noted: what else to write down, for who reads the file; it is not compared.

    Raises:
        UserError: another run has a checkpoint there; names what differs.
    """
    path = output_dir / "run.json"
    # A run without a checkpoint has nothing to lose.
    if not (path.exists() and (output_dir / "checkpoints" / "checkpoint").exists()):
        write_json(path, {**run, **(noted or {})})
        return
    found = read_json(path)
    for name in run:
        if found.get(name) != json.loads(json.dumps(run[name])):
            raise UserError(
                f"--output_dir={output_dir}: holds a run with {name}={found.get(name)!r}, "
                f"received {run[name]!r}; choose another directory or delete it"
            )


def read_checkpoint(read: Callable[[str], Any], path: str) -> None:
    """Reads a checkpoint whole, by its `read` or `restore`.

    Raises:
        UserError: it is damaged, or does not have all that is asked of it.
    """
    try:
        read(path).assert_consumed()
    except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path}: cannot be read ({reason}); delete the folder of the run to start anew"
        ) from None
