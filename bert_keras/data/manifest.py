"""What a corpus store says of itself: manifest.json and the record of each shard."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from bert_keras.errors import UserError

FORMAT = "bert_keras corpus"
VERSION = 1
FILE_NAME = "manifest.json"
# The run's settings, there from the first moment on; a folder with it but without a manifest
# holds a store that is not complete.
SETTINGS_FILE = "prepare.json"
DTYPES = ("uint16", "uint32")
OFFSET_BYTES = 4


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """Size in bytes and SHA-256 (hexadecimal) of one file."""

    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Shard:
    """One piece of the corpus: `name`.tokens and so on; `files` is by those endings."""

    name: str
    tokens: int
    sentences: int
    documents: int
    blocks: int
    files: Mapping[str, FileRecord]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Shard:
        """From `to_json`'s object. Raises KeyError, TypeError where it is none."""
        files = {ending: FileRecord(**record) for ending, record in values["files"].items()}
        if set(files) - {"words"} != {"tokens", "sentences", "documents", "blocks"}:
            raise KeyError(f"files {sorted(files)}")
        counts = {key: int(values[key]) for key in ("tokens", "sentences", "documents", "blocks")}
        return cls(values["name"], **counts, files=files)

    def to_json(self) -> dict[str, Any]:
        """As an object for JSON."""
        return dataclasses.asdict(self)

    def expected_bytes(self, ending: str, dtype: str) -> int:
        """How long a file must be to hold what the counts say."""
        if ending == "tokens":
            return self.tokens * int(dtype.removeprefix("uint")) // 8
        if ending == "words":
            return self.tokens
        return OFFSET_BYTES * (int(getattr(self, ending)) + 1)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The whole store: sums over its shards, and how it was made."""

    dtype: str
    vocabulary_sha256: str
    lowercase: bool
    settings: Mapping[str, Any]
    tokens: int
    sentences: int
    documents: int
    blocks: int
    shards: tuple[Shard, ...]

    @classmethod
    def of(
        cls,
        shards: tuple[Shard, ...],
        dtype: str,
        vocabulary_sha256: str,
        lowercase: bool,
        settings: Mapping[str, Any],
    ) -> Manifest:
        """The manifest of so many shards, with their sums."""
        return cls(
            dtype,
            vocabulary_sha256,
            lowercase,
            settings,
            tokens=sum(shard.tokens for shard in shards),
            sentences=sum(shard.sentences for shard in shards),
            documents=sum(shard.documents for shard in shards),
            blocks=sum(shard.blocks for shard in shards),
            shards=shards,
        )

    def to_json(self) -> str:
        """The text of manifest.json."""
        values = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def read(directory: pathlib.Path) -> Manifest:
    """Reads a store's manifest.

    Raises:
        UserError: there is none, or it is not one of this version.
    """
    path = directory / FILE_NAME
    if not directory.is_dir():
        raise UserError(f"{directory}: no such folder, expected a corpus store")
    if not path.exists():
        if (directory / SETTINGS_FILE).exists():
            raise UserError(
                f"{directory}: the corpus store is incomplete, run the same prepare command again"
            )
        raise UserError(f"{directory}: has no {FILE_NAME}, expected a corpus store")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise KeyError("format")
        version = values.pop("version")
        if version != VERSION:
            raise UserError(f"{path}: version {version}, this program reads version {VERSION}")
        values["shards"] = tuple(map(Shard.from_json, values["shards"]))
        manifest = Manifest(**values)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not the manifest of a corpus store ({error!r})") from error
    if manifest.dtype not in DTYPES:
        raise UserError(f"{path}: dtype {manifest.dtype!r}, expected {' or '.join(DTYPES)}")
    for name in ("tokens", "sentences", "documents", "blocks"):
        total, stated = sum(getattr(x, name) for x in manifest.shards), getattr(manifest, name)
        if stated != total:
            raise UserError(f"{path}: {name} is {stated!r}, its shards have {total}")
    return manifest
