"""Which checkpoint format `--init` names."""

from __future__ import annotations

import os
import pathlib

from bert_keras.checkpoints import google_tf1, keras_hub
from bert_keras.checkpoints.checkpoint import Checkpoint
from bert_keras.checkpoints.huggingface import INDEX, WEIGHTS, HuggingFaceCheckpoint
from bert_keras.checkpoints.random_size import RandomSize
from bert_keras.errors import UserError

_EXPECTED = (
    "a model directory (config.json, model.safetensors), a Google TF1 directory "
    "(bert_config.json, *.ckpt.index), a KerasHub preset directory, kerashub:NAME or size:NAME"
)
_FILES_SHOWN = 8


def open_checkpoint(init: str | os.PathLike[str]) -> Checkpoint:
    """Finds out the format and reads the config; weights are read when asked for.

    Args:
        init: a model directory in Hugging Face's layout; a Google TF1 directory, or the prefix
            of a checkpoint in it; a KerasHub preset directory; `kerashub:NAME` (needs a
            network); `size:NAME` (tiny, mini, small, medium, base, large, `L-4_H-256`) for
            random weights.

    Raises:
        UserError: nothing that is a checkpoint is there, or its config is not valid.
    """
    text = os.fspath(init)
    if text.startswith("size:"):
        return RandomSize(text.removeprefix("size:"))
    if text.startswith("kerashub:"):
        return keras_hub.KerasHubCheckpoint(text.removeprefix("kerashub:"))
    path = pathlib.Path(text).expanduser()
    prefix = google_tf1.as_prefix(path)
    if prefix is not None:
        return google_tf1.GoogleCheckpoint(prefix)
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise UserError(f"{path}: {found}; expected {_EXPECTED}")
    return _open_directory(path)


def _open_directory(path: pathlib.Path) -> Checkpoint:
    """The checkpoint in a folder; safetensors come first where several formats share it."""
    if keras_hub.is_preset(path):
        return keras_hub.KerasHubCheckpoint(str(path))
    has_config = (path / "config.json").exists()
    has_safetensors = any((path / name).exists() for name in (WEIGHTS, INDEX))
    if has_config and has_safetensors:
        return HuggingFaceCheckpoint(path)
    if (path / "bert_config.json").exists():
        return google_tf1.GoogleCheckpoint(google_tf1.find_prefix(path))
    if has_config:
        return HuggingFaceCheckpoint(path)
    files = sorted(entry.name for entry in path.iterdir())
    more = ", …" if len(files) > _FILES_SHOWN else ""
    found = ", ".join(files[:_FILES_SHOWN]) + more if files else "nothing"
    raise UserError(f"{path}: found {found}; expected {_EXPECTED}")
