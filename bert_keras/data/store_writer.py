"""Writing one shard of a corpus store, so that it is whole or not there."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from bert_keras.data import manifest as manifests
from bert_keras.data.files import write_text
from bert_keras.data.manifest import FileRecord, Manifest, Shard
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer, vocabulary

# A store's unit of reading; see `BlockCutter`.
BLOCK_TOKENS = 65_536
_LARGEST_OFFSET = 2**32 - 1


def token_dtype(vocab_size: int) -> str:
    """The smallest type for ids of a vocabulary."""
    return "uint16" if vocab_size <= 2**16 else "uint32"


class ShardWriter:
    """Takes tokenized sentences and writes a shard's files as `.partial`, then renames them.

    The record, `NAME.json`, is written last: a shard is there when its record is.

    Args:
        directory: the store.
        name: the shard's, such as "00000".
        dtype: "uint16" or "uint32".
        words: whether marks of words come with the tokens.
    """

    def __init__(self, directory: pathlib.Path, name: str, dtype: str, words: bool = False):
        self._directory = directory
        self._name = name
        endings = ["tokens", "sentences", "documents", "blocks", *(["words"] if words else [])]
        self._files = {
            ending: _HashedFile(directory / f"{name}.{ending}.partial") for ending in endings
        }
        self._token_type = np.dtype(dtype).newbyteorder("<")
        self._tokens = self._sentences = self._documents = self._blocks = 0
        # How many documents were announced, empty ones too, and how many of them when the last
        # sentence came.
        self._announced = 0
        self._last_announced = 0
        self._cutter = BlockCutter()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()

    def add(
        self,
        ids: np.ndarray,
        row_splits: np.ndarray,
        document_rows: Sequence[int],
        words: np.ndarray | None = None,
    ) -> None:
        """Appends sentences; those without tokens, and documents without sentences, are dropped.

        Args:
            ids: int32 [tokens] of all sentences on end.
            row_splits: int64 [rows + 1], where each sentence begins in them, and the end.
            document_rows: rising row numbers, up to `rows`, before which a document begins;
                sentences before the first go on with the document of the last call.
            words: bool [tokens], True where a word begins.
        """
        rows = len(row_splits) - 1
        marks = np.bincount(np.asarray(document_rows, np.int64), minlength=rows + 1)
        number = self._announced + np.cumsum(marks)
        kept = np.flatnonzero(np.diff(row_splits))
        numbers = number[kept]
        is_start = np.diff(numbers, prepend=self._last_announced) > 0
        self._announced = int(number[-1])
        if not len(kept):
            return
        self._last_announced = int(numbers[-1])
        self._check_room(len(ids))
        begins = row_splits[kept].astype(np.int64) + self._tokens
        starts = np.flatnonzero(is_start) + self._sentences
        self._files["tokens"].write(ids.astype(self._token_type))
        if words is not None:
            self._files["words"].write(words.astype(np.uint8))
        self._write_offsets("sentences", begins)
        self._write_offsets("documents", starts)
        self._tokens += len(ids)
        blocks = self._cutter.add(begins, self._tokens, starts, self._sentences)
        self._write_offsets("blocks", blocks)
        self._sentences += len(kept)
        self._documents += len(starts)
        self._blocks += len(blocks)

    def finish(self, piece: Any = None) -> Shard:
        """Ends the files, brings them to the disk and under their names.

        Args:
            piece: what the shard was made from, for its record.
        """
        self._write_offsets("sentences", np.array([self._tokens]))
        self._write_offsets("documents", np.array([self._sentences]))
        self._write_offsets("blocks", np.array([self._sentences]))
        records = {ending: file.finish() for ending, file in self._files.items()}
        shard = Shard(
            self._name, self._tokens, self._sentences, self._documents, self._blocks, records
        )
        for ending in records:
            path = self._directory / f"{self._name}.{ending}"
            os.replace(path.with_name(path.name + ".partial"), path)
        text = json.dumps({**shard.to_json(), "piece": piece}, indent=1, ensure_ascii=False)
        write_text(self._directory / f"{self._name}.json", text + "\n")
        return shard

    def _check_room(self, more: int) -> None:
        if self._tokens + more > _LARGEST_OFFSET:
            raise UserError(
                f"shard {self._name}: one document of more than {_LARGEST_OFFSET:,} tokens, "
                "expected smaller ones; split the file or choose another --documents"
            )

    def _write_offsets(self, ending: str, offsets: np.ndarray) -> None:
        self._files[ending].write(offsets.astype("<u4"))


class BlockCutter:
    """Where blocks begin: at a document once the block has 65,536 tokens, and inside of a
    document at a sentence, once the document's part of the block has that many."""

    def __init__(self) -> None:
        self._block_start: int | None = None
        self._part_start = 0

    def add(
        self, begins: np.ndarray, end: int, starts: np.ndarray, first_sentence: int
    ) -> np.ndarray:
        """The sentences at which blocks begin.

        Args:
            begins: int64 [sentences], the token at which each begins; nothing is empty.
            end: the token after the last.
            starts: int64 [documents], the numbers of those sentences that begin a document.
            first_sentence: the number of the first sentence.
        """
        cuts: list[int] = []
        if self._block_start is None:
            self._block_start = self._part_start = int(begins[0])
            cuts.append(first_sentence)
        bounds = [0, *(int(start) - first_sentence for start in starts), len(begins)]
        is_start = False
        for low, high in zip(bounds[:-1], bounds[1:], strict=True):
            if is_start:
                begin = int(begins[low])
                self._part_start = begin
                if begin - self._block_start >= BLOCK_TOKENS:
                    self._block_start = begin
                    cuts.append(first_sentence + low)
            is_start = True
            while low < high:
                low += int(np.searchsorted(begins[low:high], self._part_start + BLOCK_TOKENS))
                if low < high:
                    self._block_start = self._part_start = int(begins[low])
                    cuts.append(first_sentence + low)
        return np.array(cuts, np.int64)


class _HashedFile:
    """A file and the checksum of what was written to it."""

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._file = open(path, "wb", buffering=0)
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, values: np.ndarray) -> None:
        data = values.tobytes()
        try:
            written = 0
            while written < len(data):
                written += self._file.write(memoryview(data)[written:])
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror})") from None
        self._digest.update(data)
        self._bytes += len(data)

    def finish(self) -> FileRecord:
        os.fsync(self._file.fileno())
        self._file.close()
        return FileRecord(self._bytes, self._digest.hexdigest())

    def close(self) -> None:
        self._file.close()


def finish_store(
    directory: pathlib.Path,
    tokenizer: BertTokenizer,
    shards: Sequence[Shard],
    settings: Mapping[str, Any],
) -> Manifest:
    """Writes the tokenizer and, last, the manifest, which makes the store complete."""
    tokenizer.save_pretrained(directory)
    digest = hashlib.sha256((directory / vocabulary.FILE_NAME).read_bytes()).hexdigest()
    dtype = token_dtype(tokenizer.vocab_size)
    manifest = Manifest.of(tuple(shards), dtype, digest, tokenizer.lowercase, settings)
    write_text(directory / manifests.FILE_NAME, manifest.to_json())
    return manifest


def write_store(
    directory: str | os.PathLike[str],
    tokenizer: BertTokenizer,
    documents: Iterable[Sequence[str]],
    documents_per_shard: int = 1000,
) -> Manifest:
    """Writes a store of documents at hand, each a list of sentences; `prepare` reads files.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    dtype = token_dtype(tokenizer.vocab_size)
    shards = []
    for number, group in enumerate(_groups(documents, documents_per_shard)):
        sentences = [sentence for document in group for sentence in document]
        sizes = [len(document) for document in group]
        with ShardWriter(folder, f"{number:05d}", dtype) as writer:
            if sentences:
                ids = tokenizer.tokenize(sentences)
                splits = ids.row_splits.numpy()
                writer.add(ids.flat_values.numpy(), splits, np.cumsum([0, *sizes[:-1]]).tolist())
            shards.append(writer.finish())
    return finish_store(folder, tokenizer, shards, {"documents": "given", "sentences": "given"})


def _groups(documents: Iterable[Sequence[str]], size: int) -> Iterable[list[Sequence[str]]]:
    rest = iter(documents)
    while group := list(itertools.islice(rest, size)):
        yield group
