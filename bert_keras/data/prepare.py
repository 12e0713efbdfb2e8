"""Text to a corpus store, in threads; killed at any moment, it goes on where it was.

One piece of the corpus becomes one shard, and a shard depends on its piece and the settings
alone. Threads share one TensorFlow and one tokenizer: the work is done in TensorFlow's ops, NumPy
and checksums, all of which run beside each other.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import threading
from collections.abc import Callable, Iterator

from bert_keras.data import corpus_files, manifest, store_writer
from bert_keras.data.claim import Claim, description
from bert_keras.data.corpus_files import Piece
from bert_keras.data.manifest import FileRecord, Manifest, Shard
from bert_keras.data.piece_writer import PieceWriter, PrepareSettings
from bert_keras.data.store import CorpusStore, file_sha256
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer

__all__ = ["PrepareSettings", "prepare"]

_SECONDS_BETWEEN_REPORTS = 0.5

# Bytes done, bytes in all, and bytes of them that an earlier run had done.
Progress = Callable[[int, int, int], None]


def prepare(
    corpus: str,
    tokenizer: BertTokenizer,
    output_dir: str | os.PathLike[str],
    settings: PrepareSettings,
    threads: int = 1,
    progress: Progress = lambda done, total, before: None,
    piece_bytes: int = corpus_files.PIECE_BYTES,
) -> Manifest:
    """Makes a corpus store of text files, or goes on with one that was not finished.

    Killed at any moment and called again, it writes the very bytes of an unbroken run; so it does
    with any number of threads.

    Args:
        corpus: globs separated by commas; names that end in `.gz` are decompressed.
        tokenizer: for all sentences; it goes into the store.
        output_dir: the store. A complete one of the same settings is left as it is, a damaged
            one is made whole.
        settings: how text becomes sentences.
        threads: pieces worked on at a time.
        progress: called now and then with bytes done, in all, and done by earlier runs.
        piece_bytes: size of the pieces that become shards.

    Raises:
        UserError: bad input, or `output_dir` holds something else.
    """
    files = corpus_files.find_files(corpus)
    folder = pathlib.Path(output_dir)
    with Claim(folder, description(files, tokenizer, settings, piece_bytes)):
        if (complete := _complete(folder)) is not None:
            return complete
        writer = PieceWriter(folder, tokenizer, settings)
        pieces = corpus_files.plan(files, settings.documents, piece_bytes)
        total = sum(file.size for file in files)
        shards = _Run(folder, writer, pieces, total, progress).go(threads)
        if not any(shard.tokens for shard in shards):
            raise UserError(f"--corpus={corpus}: not one token in {len(files)} file(s)")
        return store_writer.finish_store(folder, tokenizer, shards, dataclasses.asdict(settings))


def _complete(folder: pathlib.Path) -> Manifest | None:
    """The manifest of a store that lacks nothing; of a damaged one it is removed."""
    path = folder / manifest.FILE_NAME
    if not path.exists():
        return None
    try:
        return CorpusStore.open(folder).manifest
    except UserError:
        path.unlink()
        return None


class _Run:
    """The pieces of one corpus, worked on by threads."""

    def __init__(
        self,
        folder: pathlib.Path,
        writer: PieceWriter,
        pieces: Iterator[Piece],
        total: int,
        progress: Progress,
    ):
        self._folder = folder
        self._writer = writer
        self._pieces = enumerate(pieces)
        self._total = total
        self._progress = progress
        self._lock = threading.Lock()
        self._shards: dict[int, Shard] = {}
        self._stopped = False
        self._done = self._before = 0

    def go(self, threads: int) -> list[Shard]:
        """All shards, in order. The first error of any thread stops the others."""
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            workers = [pool.submit(self._work) for _ in range(threads)]
            try:
                while concurrent.futures.wait(workers, _SECONDS_BETWEEN_REPORTS).not_done:
                    self._tell()
                    if any(worker.done() and worker.exception() for worker in workers):
                        break
            finally:
                # An interrupt from the keyboard too.
                self._stopped = True
        errors = [error for worker in workers if (error := worker.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
            raise error
        self._tell()
        return [self._shards[number] for number in sorted(self._shards)]

    def _work(self) -> None:
        while True:
            with self._lock:
                number, piece = next(self._pieces, (0, None))
            if piece is None:
                return
            shard = finished_shard(self._folder, number, piece)
            if shard is None:
                shard = self._writer.write(number, piece, self._count)
            else:
                size = sum(segment.end - segment.begin for segment in piece)
                self._count(size, before=size)
            self._shards[number] = shard

    def _count(self, size: int, before: int = 0) -> None:
        if self._stopped:
            raise _Stopped
        with self._lock:
            self._done += size
            self._before += before

    def _tell(self) -> None:
        self._progress(self._done, self._total, self._before)


class _Stopped(Exception):
    """Ends a thread's work because another failed."""


def finished_shard(folder: pathlib.Path, number: int, piece: Piece) -> Shard | None:
    """The shard that an earlier run wrote of a piece, if it is there and undamaged."""
    name = f"{number:05d}"
    try:
        record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if record["piece"] != [list(segment) for segment in piece]:
            return None
        shard = Shard.from_json(record)
        for ending, file in shard.files.items():
            path = folder / f"{name}.{ending}"
            if FileRecord(path.stat().st_size, file_sha256(path)) != file:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return shard
