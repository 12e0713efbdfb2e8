"""A folder that belongs to one store and, while it is written, to one program."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from bert_keras.data import corpus_files, manifest
from bert_keras.data.corpus_files import CorpusFile
from bert_keras.data.files import write_text
from bert_keras.data.piece_writer import PrepareSettings
from bert_keras.errors import UserError
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


class Claim:
    """Holds a folder for one run, of these settings and this input, as a context manager.

    Raises:
        UserError: another program prepares there, or it holds something else.
    """

    def __init__(self, folder: pathlib.Path, described: dict[str, Any]):
        self._folder = folder
        self._described = described
        self._lock = -1

    def __enter__(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._compare()
        except BlockingIOError:
            os.close(self._lock)
            raise UserError(
                f"--output_dir={self._folder}: another prepare is at work there"
            ) from None
        except BaseException:
            os.close(self._lock)
            raise

    def __exit__(self, *error: object) -> None:
        os.close(self._lock)

    def _compare(self) -> None:
        path = self._folder / manifest.SETTINGS_FILE
        if not path.exists():
            # A run may have been killed while it wrote its settings.
            if any(entry.suffix != ".partial" for entry in self._folder.iterdir()):
                raise UserError(
                    f"--output_dir={self._folder}: holds other files, expected a new folder"
                )
            text = json.dumps(self._described, indent=1, ensure_ascii=False)
            write_text(path, text + "\n")
            return
        check_described(path.read_text(encoding="utf-8"), self._described, self._folder)


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
