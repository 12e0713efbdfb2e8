"""The directory of a run: one program at a time, and never two runs in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from bert_keras.data.folder_lock import locked_folder
from bert_keras.errors import UserError
from bert_keras.files import write_json
from bert_keras.training import run_checkpoints

CHECKPOINTS = "checkpoints"


@contextlib.contextmanager
def claimed_directory(
    output_dir: pathlib.Path, run: dict[str, Any], noted: dict[str, Any] | None = None
) -> Iterator[None]:
    """Holds `output_dir` for a run, so that only the same run is ever resumed there.

    Whose it is, its checkpoints say; `run.json` says it to people.

    Args:
        run: what decides the outcome, by the flags' names; JSON values.
        noted: what else to write down, for who reads the file; it is not compared.

    Raises:
        UserError: another program trains there, another run has a checkpoint there, or no
            checkpoint says whose it is.
    """
    with locked_folder(output_dir, f"--output_dir={output_dir}: another run is at work there"):
        found = run_checkpoints.run_of(output_dir / CHECKPOINTS)
        # A run without a checkpoint has nothing to lose.
        if found is not None:
            _compare(output_dir, found, json.loads(json.dumps(run)))
        write_json(output_dir / "run.json", {**run, **(noted or {})})
        yield


def _compare(output_dir: pathlib.Path, found: dict[str, Any], run: dict[str, Any]) -> None:
    for name, value in run.items():
        if found.get(name) != value:
            raise UserError(
                f"--output_dir={output_dir}: holds a run with {name}={found.get(name)!r}, "
                f"received {value!r}; choose another directory"
            )


def weights_digest(model: keras.Model) -> str:
    """SHA-256 of all weights of a model, in the order in which it lists them."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).data)
    return digest.hexdigest()
