"""A folder that belongs to one store and, while it is written, to one program."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from bert_keras.data import corpus_files, manifest
from bert_keras.data.corpus_files import CorpusFile
from bert_keras.data.folder_lock import locked_folder
from bert_keras.data.piece_writer import PrepareSettings
from bert_keras.errors import UserError
from bert_keras.files import write_text
from bert_keras.tokenization import BertTokenizer


def description(
    files: Sequence[CorpusFile],
    tokenizer: BertTokenizer,
    settings: PrepareSettings,
    piece_bytes: int,
) -> dict[str, Any]:
    """All that decides the bytes of a store, as values of flags and files."""
    pieces = "\n".join(tokenizer.vocabulary)
    # Absent where there are none, as in the stores of earlier releases.
    added = [token.to_dict() for token in tokenizer.added_tokens]
    return {
        **dataclasses.asdict(settings),
        "vocab": hashlib.sha256(pieces.encode("utf-8", "replace")).hexdigest(),
        "cased": not tokenizer.lowercase,
        "strip_accents": tokenizer.strip_accents,
        "split_chinese": tokenizer.split_chinese,
        **({"added_tokens": added} if added else {}),
        "piece_bytes": piece_bytes,
        "corpus": {
            "files": len(files),
            "bytes": sum(file.size for file in files),
            "sha256": corpus_files.fingerprint(files),
        },
    }


@contextlib.contextmanager
def claim(folder: pathlib.Path, described: dict[str, Any]) -> Iterator[None]:
    """Holds a folder for one run, of these settings and this input, for the time of a block.

    Raises:
        UserError: another program prepares there, or it holds something else.
    """
    with locked_folder(folder, f"--output_dir={folder}: another prepare is at work there"):
        _compare(folder, described)
        yield


def _compare(folder: pathlib.Path, described: dict[str, Any]) -> None:
    path = folder / manifest.SETTINGS_FILE
    if path.exists():
        check_described(path.read_text(encoding="utf-8"), described, folder)
        return
    # A run may have been killed while it wrote its settings.
    if any(entry.suffix != ".partial" for entry in folder.iterdir()):
        raise UserError(f"--output_dir={folder}: holds other files, expected a new folder")
    write_text(path, json.dumps(described, indent=1, ensure_ascii=False) + "\n")


def check_described(text: str, described: dict[str, Any], folder: Any) -> None:
    """Compares the settings file of a store with those of this run.

    Raises:
        UserError: the store was made in another way, or the file is damaged.
    """
    try:
        found = json.loads(text)
        wrong = next((name for name in described if found.get(name) != described[name]), None)
        if wrong is not None:
            difference = _difference(wrong, found.get(wrong), described[wrong])
            raise UserError(f"--output_dir={folder}: {difference}")
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError):
        raise UserError(
            f"{folder}/{manifest.SETTINGS_FILE}: damaged, expected the settings of a corpus store"
        ) from None


def _difference(name: str, found: Any, value: Any) -> str:
    if name == "corpus":
        return (
            f"its store was made from other files ({found['files']:,} with {found['bytes']:,} "
            f"bytes, now {value['files']:,} with {value['bytes']:,} bytes, or changed since); "
            "choose another folder"
        )
    if name == "vocab":
        return "its store was made with another vocabulary; choose another folder"
    return f"its store was made with {name}={found}, now {name}={value}; choose another folder"
