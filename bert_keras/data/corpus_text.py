"""The documents of a piece of a corpus, as a stream of text in bounded memory."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from bert_keras.data.corpus_files import Opener, Piece, is_compressed, open_local
from bert_keras.errors import UserError

# Tokenized at once; more costs memory and gains no speed.
CHUNK_BYTES = 1 << 18
# A line that must be in memory whole, as a document or a JSON object.
LONGEST_LINE = 1 << 26

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK_LINES = re.compile(r"\n[ \t\r\f\v]*\n\s*")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)]*\s|[。！？][”’」』]*")

Report = Callable[[int], None]


class Passage(NamedTuple):
    """A document, or a part of a long one; a part ends where a sentence may."""

    text: str
    begins_document: bool


class _Source(NamedTuple):
    """A segment and how to open its file."""

    path: str
    begin: int
    end: int
    opener: Opener


class _Chunk(NamedTuple):
    """Lines on end, with where they stand in the decompressed file."""

    data: bytes
    offset: int


def read_piece(
    piece: Piece,
    documents: str,
    text_field: str = "text",
    keep_lines: bool = False,
    report: Report = lambda size: None,
    opener: Opener = open_local,
) -> Iterator[Passage]:
    """The documents of a piece, in order.

    Args:
        piece: from `corpus_files.plan`.
        documents: "file", "blank_line", "line" or "jsonl".
        text_field: the key of the text, for "jsonl".
        keep_lines: a long document is cut at ends of lines only.
        report: called with the bytes of the files as they are read.
        opener: how to open a file.

    Raises:
        UserError: a file cannot be read or changed meanwhile, is not UTF-8, or a line is not a
            JSON object with that field; the message has file and line.
    """
    for segment in piece:
        source = _Source(*segment, opener)
        chunks = _chunks(source, documents in ("line", "jsonl"), report)
        if documents == "jsonl":
            yield from _json_lines(chunks, source, text_field)
            continue
        texts = (_decode(chunk, source) for chunk in chunks)
        if documents == "line":
            for text in texts:
                yield from (Passage(line, True) for line in text.split("\n"))
        else:
            ends = _BLANK_LINES if documents == "blank_line" else None
            yield from _streamed(texts, ends, keep_lines)


def _streamed(
    texts: Iterator[str], ends: re.Pattern[str] | None, keep_lines: bool
) -> Iterator[Passage]:
    """Documents between matches of a pattern, or one in all, long ones in parts."""
    rest = ""
    begins = True
    for text in texts:
        rest += text
        if ends is not None:
            *whole, rest = ends.split(rest)
            for document in whole:
                yield Passage(document, begins)
                begins = True
        if len(rest) >= CHUNK_BYTES:
            cut = _part_end(rest, keep_lines)
            yield Passage(rest[:cut], begins)
            rest, begins = rest[cut:], False
    yield Passage(rest, begins)


def _part_end(text: str, keep_lines: bool) -> int:
    """Where to cut a long text: at its last paragraph, else sentence, else word."""
    # White space at the end stays with what follows: it may be half of a blank line.
    size = len(text.rstrip()) or len(text)
    line = text.rfind("\n", 0, size) + 1
    if keep_lines:
        return line or size
    for pattern, begin in ((_BLANK_LINES, size // 2), (_SENTENCE_END, max(0, size - 4096))):
        ends = [match.end() for match in pattern.finditer(text, begin, size)]
        if ends:
            return ends[-1]
    return max(line, text.rfind(" ", 0, size) + 1) or size


def _chunks(source: _Source, whole_lines: bool, report: Report) -> Iterator[_Chunk]:
    """A segment in chunks that end with a line, or, where lines are long, with a character."""
    rest = b""
    offset = source.begin
    for block in _blocks(source, report):
        rest += block
        end = rest.rfind(b"\n") + 1
        if not end and not whole_lines:
            end = _character_end(rest)
        if len(rest) - end > LONGEST_LINE:
            raise UserError(
                f"{_where(source, offset + end)}: a line of more than {LONGEST_LINE:,} bytes, "
                "expected shorter ones, each a document"
            )
        if end:
            yield _Chunk(rest[:end], offset)
            offset += end
            rest = rest[end:]
    if rest:
        yield _Chunk(rest, offset)


def _character_end(data: bytes) -> int:
    """The end of the last whole UTF-8 character; all of it where it is not UTF-8 anyway."""
    size = len(data)
    for back in range(1, min(size, 4) + 1):
        first = data[size - back]
        if first & 0xC0 != 0x80:
            needed = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return size - back if back < needed else size
    return size


def _blocks(source: _Source, report: Report) -> Iterator[bytes]:
    """A segment's bytes; its sizes do not depend on who reads them."""
    try:
        with source.opener(source.path) as file:
            if is_compressed(source.path):
                yield from _decompressed(file, source, report)
                return
            file.seek(source.begin)
            left = source.end - source.begin
            while left:
                block = file.read(min(CHUNK_BYTES, left))
                if not block:
                    raise UserError(f"{source.path}: became shorter while it was read")
                left -= len(block)
                report(len(block))
                yield block
    except OSError as error:
        raise UserError(f"{source.path}: cannot be read ({error.strerror})") from None


def _decompressed(file: BinaryIO, source: _Source, report: Report) -> Iterator[bytes]:
    done = 0
    try:
        with gzip.open(file, "rb") as text:
            while block := text.read(CHUNK_BYTES):
                report(file.tell() - done)
                done = file.tell()
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UserError(f"{source.path}: is not a whole gzip file") from None
    report(source.end - done)


def _decode(chunk: _Chunk, source: _Source) -> str:
    data = chunk.data
    if chunk.offset == 0:
        if data.startswith(_UTF16_MARKS):
            raise UserError(
                f"{source.path}:1: the file is UTF-16, expected UTF-8 text; convert it with "
                "iconv -f UTF-16 -t UTF-8"
            )
        data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = chunk.offset + len(chunk.data) - len(data) + error.start
        raise UserError(
            f"{_where(source, at)}: byte 0x{data[error.start]:02x} is not UTF-8, expected UTF-8 "
            "text; convert the file, such as with iconv -f WINDOWS-1252 -t UTF-8"
        ) from None


def _json_lines(chunks: Iterator[_Chunk], source: _Source, field: str) -> Iterator[Passage]:
    for chunk in chunks:
        for number, line in enumerate(_decode(chunk, source).split("\n")):
            if line and not line.isspace():
                yield Passage(_json_text(line, field, source, chunk, number), True)


def _json_text(line: str, field: str, source: _Source, chunk: _Chunk, number: int) -> str:
    def wrong(what: str) -> UserError:
        lines = _line_number(source, chunk.offset) + number
        return UserError(f"{source.path}:{lines}: {what}, expected an object with {field!r}")

    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise wrong(f"not JSON: {line.strip()[:40]!r}") from None
    if not isinstance(row, dict):
        raise wrong(f"received a JSON {type(row).__name__}")
    text = row.get(field)
    if field not in row:
        raise wrong(f"received the fields {', '.join(map(repr, list(row)[:8])) or 'none'}")
    if not isinstance(text, str):
        raise wrong(f"{field!r} is {json.dumps(text)[:40]}, not a string")
    return text


def _where(source: _Source, offset: int) -> str:
    return f"{source.path}:{_line_number(source, offset)}"


def _line_number(source: _Source, offset: int) -> int:
    """The line, from 1, of a byte of the decompressed file."""
    lines = 1
    with source.opener(source.path) as file:
        text = gzip.open(file, "rb") if is_compressed(source.path) else file
        while offset > 0 and (block := text.read(min(CHUNK_BYTES, offset))):
            lines += block.count(b"\n")
            offset -= len(block)
    return lines
