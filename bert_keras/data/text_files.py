"""Text files as numbered lines, with an exact message for every way a file can be broken."""

from __future__ import annotations

import gzip
import pathlib
import sys
import zlib

from bert_keras.errors import UserError

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: str | pathlib.Path) -> list[str]:
    """The lines of a UTF-8 file, without their `\\n` or `\\r\\n`; line 1 is element 0.

    Only a line feed ends a line: the other characters that Unicode calls line ends (U+2028,
    U+0085 and so on) occur inside real texts. A byte order mark is dropped, blank lines at
    the end of the file are no lines, and a name that ends in `.gz` is decompressed. The path
    `-` is the standard input.

    Raises:
        UserError: the path cannot be read, is a folder or is empty; or a line holds a NUL or
            bytes that are not UTF-8.
    """
    raw = _read_bytes(path)
    if raw.startswith(_UTF16_MARKS):
        raise UserError(f"{path}:1: the file is UTF-16, expected UTF-8 text")
    raw = raw.removeprefix(_UTF8_MARK)
    lines = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if b"\0" in line:
            raise UserError(
                f"{path}:{number}: NUL byte at byte {line.index(0) + 1} of the line, "
                "expected UTF-8 text"
            )
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}:{number}: byte 0x{line[error.start]:02x} at byte {error.start + 1} "
                "of the line is not UTF-8, expected UTF-8 text"
            ) from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise UserError(f"{path}: the file is empty, expected rows of text")
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
