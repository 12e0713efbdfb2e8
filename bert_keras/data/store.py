"""Reading the tokenized corpus that `prepare` wrote."""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bert_keras.data import manifest as manifests
from bert_keras.data.window import Window
from bert_keras.errors import UserError
from bert_keras.tokenization import vocabulary

if TYPE_CHECKING:
    from bert_keras.tokenization import BertTokenizer

_CHUNK = 1 << 20


class CorpusStore:
    """A folder of shards, read block by block; the files are mapped, never loaded whole.

    A block is a run of sentences of about 65,536 tokens: several short documents, or one
    section of a long one. Blocks are numbered over all shards.

    Attributes:
        directory: the folder.
        manifest: what it holds.
        blocks: how many blocks there are.
    """

    def __init__(self, directory: pathlib.Path, manifest: manifests.Manifest):
        self.directory = directory
        self.manifest = manifest
        self.blocks = manifest.blocks
        self._first_blocks = _starts([shard.blocks for shard in manifest.shards])
        self._first_documents = _starts([shard.documents for shard in manifest.shards])

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> CorpusStore:
        """Opens a store; sizes are checked, checksums by `verify` alone.

        Raises:
            UserError: it is missing, incomplete, of another version, or a file is damaged.
        """
        folder = pathlib.Path(directory)
        store = cls(folder, manifests.read(folder))
        for shard in store.manifest.shards:
            for ending, record in shard.files.items():
                expected = shard.expected_bytes(ending, store.manifest.dtype)
                _check_size(folder / f"{shard.name}.{ending}", record.bytes, expected)
        _check_sum(folder / vocabulary.FILE_NAME, store.manifest.vocabulary_sha256)
        return store

    def verify(self) -> None:
        """Reads everything and compares the checksums.

        Raises:
            UserError: a file is not what was written; the message names it.
        """
        for shard in self.manifest.shards:
            for ending, record in shard.files.items():
                _check_sum(self.directory / f"{shard.name}.{ending}", record.sha256)

    def read_blocks(self, blocks: Sequence[int]) -> Window:
        """Copies blocks into memory.

        Args:
            blocks: their numbers, 0 up to `self.blocks`, in any order.

        Returns:
            What they hold, on end, in the order given.

        Raises:
            UserError: there is no block of that number.
        """
        wrong = next((block for block in blocks if not 0 <= block < self.blocks), None)
        if wrong is not None:
            raise UserError(f"{self.directory}: block {wrong}, expected 0 to {self.blocks - 1}")
        return _concatenate([self._read(int(block)) for block in blocks], self.manifest.dtype)

    def tokenizer(self) -> BertTokenizer:
        """The tokenizer that the corpus was made with."""
        # Reading a store needs no TensorFlow.
        from bert_keras.tokenization import BertTokenizer

        return BertTokenizer.from_pretrained(self.directory)

    def _read(self, block: int) -> Window:
        """One block."""
        index = int(np.searchsorted(self._first_blocks, block, side="right")) - 1
        shard = self.manifest.shards[index]
        bounds, documents = self._bounds(index)
        local = block - int(self._first_blocks[index])
        first, last = int(bounds[local]), int(bounds[local + 1])
        sentences = self._map(shard, "sentences")[first : last + 1].astype(np.int64)
        begin, end = int(sentences[0]), int(sentences[-1])
        if (np.diff(sentences) < 0).any() or end > shard.tokens:
            raise self._damaged(shard, "sentences")
        tokens = np.array(self._map(shard, "tokens")[begin:end])
        if tokens.max(initial=0) >= self._vocabulary_size:
            raise self._damaged(shard, "tokens")
        # The document that the first sentence is in, and the first one after the last.
        start = int(np.searchsorted(documents, first, side="right")) - 1
        stop = int(np.searchsorted(documents, last, side="left"))
        sections = documents[start : stop + 1].astype(np.int64).clip(first, last)
        words = None
        if "words" in shard.files:
            words = np.array(self._map(shard, "words")[begin:end]).astype(bool)
        return Window(
            tokens=tokens,
            sentences=sentences - begin,
            sections=sections - first,
            documents=np.arange(start, stop) + self._first_documents[index],
            words=words,
        )

    @functools.lru_cache(maxsize=64)  # noqa: B019  a store lives as long as its program
    def _bounds(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the bounds of a shard's blocks and documents, in sentences."""
        shard = self.manifest.shards[index]
        blocks, documents = (np.array(self._map(shard, name)) for name in ("blocks", "documents"))
        for name, bounds in (("blocks", blocks), ("documents", documents)):
            ordered = (np.diff(bounds.astype(np.int64)) >= 0).all()
            if bounds[0] != 0 or bounds[-1] != shard.sentences or not ordered:
                raise self._damaged(shard, name)
        return blocks, documents

    @functools.cached_property
    def _vocabulary_size(self) -> int:
        return len(vocabulary.read(self.directory))

    def _damaged(self, shard: manifests.Shard, ending: str) -> UserError:
        return UserError(
            f"{self.directory / shard.name}.{ending}: holds numbers that prepare does not write, "
            "the store is damaged: delete it and prepare it again"
        )

    def _map(self, shard: manifests.Shard, ending: str) -> np.ndarray:
        dtype = {"tokens": self.manifest.dtype, "words": "uint8"}.get(ending, "uint32")
        path = self.directory / f"{shard.name}.{ending}"
        return np.memmap(path, np.dtype(dtype).newbyteorder("<"), mode="r")


def _starts(counts: Sequence[int]) -> np.ndarray:
    """int64 [n + 1]: sums of the counts before each, and of all."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _check_size(path: pathlib.Path, recorded: int, expected: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if size != recorded or size != expected:
        raise UserError(f"{path}: {size} bytes, expected {expected}: the store is damaged")


def _check_sum(path: pathlib.Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if found != expected:
        raise UserError(f"{path}: the checksum differs from the manifest's, the file is damaged")


def file_sha256(path: pathlib.Path) -> str:
    """SHA-256 of a file, hexadecimal, in bounded memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _concatenate(windows: Sequence[Window], dtype: str) -> Window:
    """Windows on end."""
    if not windows:
        zero = np.zeros(1, np.int64)
        return Window(np.zeros(0, dtype), zero, zero, zero[:0], None)
    tokens = _starts([len(window.tokens) for window in windows])
    sentences = _starts([len(window.sentences) - 1 for window in windows])
    words = [window.words for window in windows if window.words is not None]
    return Window(
        tokens=np.concatenate([window.tokens for window in windows]),
        sentences=_joined([window.sentences for window in windows], tokens),
        sections=_joined([window.sections for window in windows], sentences),
        documents=np.concatenate([window.documents for window in windows]),
        words=np.concatenate(words) if words else None,
    )


def _joined(bounds: Sequence[np.ndarray], starts: np.ndarray) -> np.ndarray:
    """Bounds that each begin with 0, moved to where their window begins."""
    moved = [bound[:-1] + start for bound, start in zip(bounds, starts[:-1], strict=True)]
    return np.concatenate([*moved, starts[-1:]])
