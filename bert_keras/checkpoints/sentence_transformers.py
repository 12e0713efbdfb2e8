"""The files with which sentence-transformers says how tokens become one vector."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from bert_keras.config import read_json
from bert_keras.errors import UserError

MODULES = "modules.json"
_POOLING, _NORMALIZE = "1_Pooling", "2_Normalize"
_TRANSFORMER_FILE = "sentence_bert_config.json"
_MODULES_FILE = "config_sentence_transformers.json"
_TYPE = "sentence_transformers.models."
_MODES = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
}


@dataclasses.dataclass(frozen=True)
class SentenceModules:
    """What such a directory says besides the encoder.

    Attributes:
        pooling: "mean", "cls" or "max".
        normalize: whether vectors are divided by their length.
        max_length: most tokens of a text, or None where it does not say.
    """

    pooling: str
    normalize: bool
    max_length: int | None


def read_modules(directory: pathlib.Path) -> SentenceModules | None:
    """How a directory of sentence-transformers pools; None for one without `modules.json`.

    Raises:
        UserError: there are other modules than an encoder at the top, pooling and
            normalisation, or another way of pooling.
    """
    path = directory / MODULES
    if not path.is_file():
        return None
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
        places = [module["path"] for module in modules]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{path}: expected a list of modules with `type` and `path`") from None
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise UserError(
            f"{path}: the modules are {', '.join(kinds)}, expected Transformer, Pooling and "
            "perhaps Normalize"
        )
    if places[0]:
        raise UserError(f"{path}: the Transformer is in {places[0]!r}, expected it at the top")
    pooling = _read_pooling(directory / places[1] / "config.json")
    return SentenceModules(pooling, len(kinds) == 3, _read_length(directory))


def _read_pooling(path: pathlib.Path) -> str:
    settings = read_json(path)
    modes = [
        name for name, on in settings.items() if name.startswith("pooling_mode_") and on is True
    ]
    # In newer releases one field names the mode.
    named = settings.get("pooling_mode")
    known = [mode for mode, name in _MODES.items() if modes == [name] or named in (mode, [mode])]
    if len(known) != 1:
        raise UserError(
            f"{path}: the pooling is {named or ', '.join(modes) or 'none'}, expected one of "
            f"{', '.join(_MODES)}"
        )
    return known[0]


def _read_length(directory: pathlib.Path) -> int | None:
    path = directory / _TRANSFORMER_FILE
    length = read_json(path).get("max_seq_length") if path.is_file() else None
    if length is not None and (not isinstance(length, int) or length < 3):
        raise UserError(f"{path}: max_seq_length is {length!r}, expected a number of tokens")
    return length


def module_files(modules: SentenceModules, width: int) -> dict[str, Any]:
    """The files of such a directory by relative path: JSON values, None for an empty folder."""
    parts = [("", "Transformer"), (_POOLING, "Pooling")]
    if modules.normalize:
        parts.append((_NORMALIZE, "Normalize"))
    files: dict[str, Any] = {
        MODULES: [
            {"idx": index, "name": str(index), "path": path, "type": f"{_TYPE}{kind}"}
            for index, (path, kind) in enumerate(parts)
        ],
        _TRANSFORMER_FILE: {"max_seq_length": modules.max_length, "do_lower_case": False},
        _MODULES_FILE: {"similarity_fn_name": "cosine", "prompts": {}, "default_prompt_name": None},
        f"{_POOLING}/config.json": {
            "word_embedding_dimension": width,
            **{name: mode == modules.pooling for mode, name in _MODES.items()},
        },
    }
    return {**files, _NORMALIZE: None} if modules.normalize else files
