"""The files with which sentence-transformers says how tokens become one vector."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from bert_keras.config import read_json
from bert_keras.errors import UserError

MODULES = "modules.json"
_POOLING, _NORMALIZE = "1_Pooling", "2_Normalize"
_TRANSFORMER_FILE = "sentence_bert_config.json"
_TOKENIZER_FILE, _LENGTH_FIELD = "tokenizer_config.json", "model_max_length"
_NO_LENGTH = 10**9
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
        prompts: what is put in front of texts, by name.
        default_prompt_name: of the prompt for texts that ask for no other, or None.
        similarity: sentence-transformers' name of how vectors are compared, or None.
    """

    pooling: str
    normalize: bool
    max_length: int | None
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity: str | None = "cosine"


def read_modules(directory: pathlib.Path) -> SentenceModules | None:
    """How a directory of sentence-transformers pools; None for one without `modules.json`.

    Raises:
        UserError: there are other modules than an encoder at the top, pooling and
            normalisation, another way of pooling, or prompts that are not pooled.
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
    prompts, default, similarity = _read_prompts(directory / _MODULES_FILE)
    pooling = _read_pooling(directory / places[1] / "config.json", any(prompts.values()))
    normalize, length = len(kinds) == 3, _read_length(directory)
    return SentenceModules(pooling, normalize, length, prompts, default, similarity)


def _read_prompts(path: pathlib.Path) -> tuple[dict[str, str], str | None, str | None]:
    """Returns the prompts, the default one's name and the similarity's name."""
    if not path.is_file():
        return {}, None, "cosine"
    settings = read_json(path)
    prompts, default = settings.get("prompts") or {}, settings.get("default_prompt_name")
    if isinstance(prompts, dict):
        # Releases that fill in the names of prompts write null for one that is not set.
        prompts = {name: "" if text is None else text for name, text in prompts.items()}
    if not isinstance(prompts, dict) or not all(isinstance(x, str) for x in prompts.values()):
        raise UserError(f"{path}: prompts is {prompts!r}, expected texts by name")
    if default is not None and (not isinstance(default, str) or default not in prompts):
        raise UserError(
            f"{path}: default_prompt_name is {default!r}, expected one of the prompts "
            f"{', '.join(prompts) or '(there are none)'}"
        )
    return prompts, default, settings.get("similarity_fn_name", "cosine")


def _read_pooling(path: pathlib.Path, has_prompts: bool) -> str:
    settings = read_json(path)
    if has_prompts and settings.get("include_prompt") is False:
        raise UserError(
            f"{path}: include_prompt is false, which leaves the tokens of prompts out of the "
            "pooling and is not supported; expected true"
        )
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
    """Returns the tokens of a text: release 6 keeps their number with the tokenizer alone."""
    for file, field in ((_TRANSFORMER_FILE, "max_seq_length"), (_TOKENIZER_FILE, _LENGTH_FIELD)):
        path = directory / file
        length = read_json(path).get(field) if path.is_file() else None
        if length is None:
            continue
        if not isinstance(length, (int, float)) or length != int(length) or length < 3:
            raise UserError(f"{path}: {field} is {length!r}, expected a number of tokens")
        # A tokenizer without a limit says 10^30.
        return int(length) if length < _NO_LENGTH else None
    return None


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
        _MODULES_FILE: {
            "similarity_fn_name": modules.similarity,
            "prompts": dict(modules.prompts),
            "default_prompt_name": modules.default_prompt_name,
        },
        f"{_POOLING}/config.json": {
            "word_embedding_dimension": width,
            **{name: mode == modules.pooling for mode, name in _MODES.items()},
        },
    }
    return {**files, _NORMALIZE: None} if modules.normalize else files
