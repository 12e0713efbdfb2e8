"""The files of a corpus, and how they are cut into pieces of work.

A piece is one shard of the store. Pieces depend on the files alone, never on how many threads or
machines work on them, and no document lies in two of them.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from bert_keras.errors import UserError

DOCUMENTS = ("file", "blank_line", "line", "jsonl")
# Smaller pieces are sooner done again after a kill, larger ones make fewer files.
PIECE_BYTES = 16 * 2**20


class CorpusFile(NamedTuple):
    """A file and what tells that it changed."""

    path: str
    size: int
    modified: int  # nanoseconds


class Segment(NamedTuple):
    """Bytes of a file, whole documents; of a `.gz` file always all of it."""

    path: str
    begin: int
    end: int


Piece = tuple[Segment, ...]
Opener = Callable[[str], BinaryIO]


def open_local(path: str) -> BinaryIO:
    """Opens a file of this machine for reading."""
    return open(path, "rb")


def find_files(patterns: str) -> list[CorpusFile]:
    """The files of a corpus, sorted by path.

    Args:
        patterns: globs separated by commas; `**` goes into folders.

    Raises:
        UserError: a pattern matches no file, or all files are empty.
    """
    found: set[str] = set()
    for pattern in filter(None, patterns.split(",")):
        # A name with brackets of its own is taken as it is.
        paths = [pattern] if os.path.isfile(pattern) else glob.glob(pattern, recursive=True)
        files = [path for path in paths if os.path.isfile(path)]
        if not files:
            kind = "is a folder" if os.path.isdir(pattern) else "matches no file"
            raise UserError(f"--corpus={pattern}: {kind}, expected files or a pattern of them")
        found.update(files)
    files_ = [_describe(path) for path in sorted(found)]
    if not any(file.size for file in files_):
        raise UserError(f"--corpus={patterns}: no text in {len(files_)} file(s), expected some")
    return files_


def _describe(path: str) -> CorpusFile:
    status = os.stat(path)
    return CorpusFile(path, status.st_size, status.st_mtime_ns)


def fingerprint(files: Iterable[CorpusFile]) -> str:
    """Differs when a file was added, removed, renamed or written to."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(json.dumps(file).encode())
    return digest.hexdigest()


def plan(
    files: Iterable[CorpusFile],
    documents: str,
    piece_bytes: int = PIECE_BYTES,
    opener: Opener = open_local,
) -> Iterator[Piece]:
    """Cuts a corpus into pieces of about so many bytes, at the ends of documents.

    Small files share a piece. With `documents="file"` a large file is a piece by itself.

    Args:
        files: sorted.
        documents: one of `DOCUMENTS`.
        piece_bytes: size at which a piece ends, at the next end of a document.
        opener: how to open a file.
    """
    piece: list[Segment] = []
    room = piece_bytes
    for file in files:
        begin = 0
        while begin < file.size:
            end = file.size
            if documents != "file" and not is_compressed(file.path) and begin + room < end:
                end = _document_end(opener, file.path, begin + room, documents)
            piece.append(Segment(file.path, begin, end))
            room -= end - begin
            begin = end
            if room <= 0:
                yield tuple(piece)
                piece, room = [], piece_bytes
    if piece:
        yield tuple(piece)


def is_compressed(path: str) -> bool:
    """Whether a file is to be decompressed, by its name."""
    return pathlib.Path(path).suffix == ".gz"


def _document_end(opener: Opener, path: str, position: int, documents: str) -> int:
    """Where a document ends, at or after a position inside of the file."""
    with opener(path) as file:
        # The line that the position is in; one that begins right there does not count.
        file.seek(position - 1)
        line = _rest_of_line(file)
        if documents == "blank_line":
            line = file.readline()
            while line and not line.isspace():
                line = file.readline()
        return file.tell()


def _rest_of_line(file: BinaryIO) -> bytes:
    """Reads past the next line feed, however far, and returns the last part read."""
    part = file.readline(1 << 20)
    while part and not part.endswith(b"\n"):
        part = file.readline(1 << 20)
    return part
