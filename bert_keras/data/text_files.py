"""Text files as numbered lines, with an exact message for every way a file can be broken."""

from __future__ import annotations

import codecs
import gzip
import pathlib
import sys
import zlib

from bert_keras.errors import UserError

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def read_lines(path: str | pathlib.Path, encoding: str = "utf-8") -> list[str]:
    """Reads the lines of a text file, without their `\\n` or `\\r\\n`; line 1 is element 0.

    Only a line feed ends a line: the other characters that Unicode calls line ends (U+2028,
    U+0085 and so on) occur inside real texts. A byte order mark is dropped, blank lines at
    the end of the file are no lines, and a name that ends in `.gz` is decompressed. The path
    `-` is the standard input.

    Raises:
        UserError: the path cannot be read, is a folder or is empty; the encoding is unknown; a
            line holds a NUL or bytes that are not of the encoding.
    """
    raw = _read_bytes(path)
    if raw.startswith(_LFS_POINTER):
        raise UserError(f"{path}: is a pointer of git-lfs, not the file: run git lfs pull")
    codec = _codec(encoding)
    if codec == "utf-8":
        lines = _utf8_lines(path, raw)
    else:
        try:
            text = raw.decode(codec)
        except UnicodeError as error:
            raise UserError(f"{path}: is not text in encoding={encoding} ({error})") from None
        lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise UserError(
                f"{path}:{number}: NUL at character {line.index(chr(0)) + 1} of the line, "
                "expected text"
            )
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise UserError(f"{path}: the file is empty, expected rows of text")
    return lines


def _codec(encoding: str) -> str:
    """The standard name of an encoding of text."""
    try:
        info = codecs.lookup(encoding)
        # Python also calls transforms such as base64 encodings.
        "".encode(encoding)
    except (LookupError, ValueError):
        raise UserError(
            f"encoding={encoding}: is unknown, expected a name such as utf-8, cp1252, gb18030"
        ) from None
    return "utf-8" if info.name == "utf-8-sig" else info.name


def _utf8_lines(path: str | pathlib.Path, raw: bytes) -> list[str]:
    if raw.startswith(_UTF16_MARKS):
        raise UserError(f"{path}:1: the file is UTF-16, expected UTF-8 text; give encoding=utf-16")
    lines = []
    for number, line in enumerate(raw.removeprefix(_UTF8_MARK).split(b"\n"), start=1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}:{number}: byte 0x{line[error.start]:02x} at byte {error.start + 1} "
                "of the line is not UTF-8; give the file's encoding, such as encoding=cp1252 "
                "(Western Europe) or encoding=gb18030 (Chinese)"
            ) from None
    return lines


def _read_bytes(path: str | pathlib.Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    path = pathlib.Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected a file")
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UserError(f"{path}: is not a whole gzip file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        # A name with a NUL.
        raise UserError(f"{path!r}: cannot be read ({error})") from None
