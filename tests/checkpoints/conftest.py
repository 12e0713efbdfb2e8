"""A small checkpoint whose every tensor is known, written to a temporary folder."""

from __future__ import annotations

import json
import pathlib
import runpy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

_FIXED = runpy.run_path(str(pathlib.Path(__file__).parent.parent / "golden/fixed_weights.py"))
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "sat", "."]


@pytest.fixture(scope="session")
def fixed() -> dict[str, Any]:
    """The formulas of tests/golden/fixed_weights.py."""
    return _FIXED


@pytest.fixture
def state() -> dict[str, np.ndarray]:
    """Tensors of a BertForPreTraining by Hugging Face's names."""
    return _FIXED["state"](_FIXED["pretraining_shapes"]())


@pytest.fixture(scope="session")
def pieces() -> list[str]:
    """The vocabulary of the small checkpoint, 97 pieces."""
    return PIECES + [f"[unused{number}]" for number in range(97 - len(PIECES))]


@pytest.fixture
def write(tmp_path: pathlib.Path, pieces: list[str]) -> Callable[..., pathlib.Path]:
    """Writes a model directory: `write(state, **changes of config.json)` gives its path."""

    def write_directory(state: Mapping[str, np.ndarray] | None, **changes: Any) -> pathlib.Path:
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        settings = {**_FIXED["CONFIG"], "hidden_act": "gelu", **changes}
        (folder / "config.json").write_text(json.dumps(settings))
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
        if state is not None:
            save_file(dict(state), folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return write_directory
