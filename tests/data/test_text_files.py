"""Lines of files, and every way in which a file can be broken."""

from __future__ import annotations

import gzip
import io
import os
import pathlib
import sys

import pytest

from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError


def _file(folder: pathlib.Path, raw: bytes, name: str = "a.tsv") -> pathlib.Path:
    path = folder / name
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"a\n\nb\n\n \r\n", ["a", "", "b"]),
        ("a\u2028b\x85c\x0bd\ne".encode(), ["a\u2028b\x85c\x0bd", "e"]),
    ],
    ids=["line feeds", "no last one", "windows", "mark", "blank lines", "other line ends"],
)
def test_lines(tmp_path: pathlib.Path, raw: bytes, lines: list[str]) -> None:
    assert read_lines(_file(tmp_path, raw)) == lines
    assert read_lines(_file(tmp_path, gzip.compress(raw), "a.tsv.gz")) == lines


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    assert read_lines("-") == ["one", "two"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", r"a\.tsv: the file is empty"),
        (b"\n \n", r"a\.tsv: the file is empty"),
        (b"a\ncaf\xe9\n", r"a\.tsv:2: byte 0xe9 at byte 4 of the line is not UTF-8"),
        (b"\xef\xbb\xbf\xff", r"a\.tsv:1: byte 0xff at byte 1 of the line"),
        (b"a\nb\nc\0d\n", r"a\.tsv:3: NUL at character 2 of the line"),
        (
            "a\tb\n".encode("utf-16"),
            r"a\.tsv:1: the file is UTF-16, expected UTF-8 text; give encoding=utf-16",
        ),
    ],
)
def test_broken_content(tmp_path: pathlib.Path, raw: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_lines(_file(tmp_path, raw))


def test_broken_paths(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"none\.tsv: cannot be read \(No such file"):
        read_lines(tmp_path / "none.tsv")
    with pytest.raises(UserError, match="is a folder, expected a file"):
        read_lines(tmp_path)
    whole = gzip.compress(b"a\nb\n" * 100)
    for broken in (whole[:-12], whole[:2] + b"\0" + whole[3:], b"plain text"):
        with pytest.raises(UserError, match=r"a\.tsv\.gz: is not a whole gzip file"):
            read_lines(_file(tmp_path, broken, "a.tsv.gz"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: pathlib.Path) -> None:
    path = _file(tmp_path, b"a\n")
    path.chmod(0)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        read_lines(path)
