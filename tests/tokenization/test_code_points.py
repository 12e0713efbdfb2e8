"""The frozen Unicode data and the tables made of it."""

from __future__ import annotations

import ast
import base64
import json
import pathlib
import unicodedata
import zlib

import numpy as np
import pytest

from bert_keras.tokenization import code_points, freeze_unicode, unicode_14

PACKAGE = pathlib.Path(code_points.__file__).parent


def entry(tables: code_points.Tables, char: str) -> int:
    page = tables.page_index[ord(char) >> 8]
    return int(tables.entries[page * code_points.PAGE + (ord(char) & 255)])


def replacement(tables: code_points.Tables, char: str) -> str:
    value = entry(tables, char)
    start = value >> code_points.START_SHIFT
    length = value >> code_points.LENGTH_SHIFT & code_points.LENGTH_MASK
    return tables.pool[start : start + length].tobytes().decode()


def test_frozen_data_is_python_311s() -> None:
    if unicodedata.unidata_version != freeze_unicode.VERSION:
        pytest.skip(f"this Python has Unicode {unicodedata.unidata_version}")
    packed = json.loads(zlib.decompress(base64.b85decode(unicode_14.PACKED)))
    assert packed == freeze_unicode.derive()


def test_nothing_else_asks_the_running_python_for_unicode() -> None:
    for path in PACKAGE.glob("*.py"):
        imported = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert path.name == "freeze_unicode.py" or "unicodedata" not in imported, path.name


def test_hangul_decomposes_by_arithmetic() -> None:
    decompositions = code_points.unicode().decompositions
    for code in range(0xAC00, 0xD7A4):
        parts = [ord(char) for char in unicodedata.normalize("NFD", chr(code))]
        assert decompositions[code] == parts


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("a", "a"),
        ("É", "e"),
        ("İ", "i"),
        ("\u212a", "k"),
        ("≠", " = "),
        ("\u037e", " ; "),
        ("…", " … "),
        ("中", " 中 "),
        ("\uf900", f" {code_points.UNKNOWN_LETTER} "),
        ("\u0301", ""),
        ("\u200b", ""),
        ("\u00ad", ""),
        ("\ufffd", ""),
        ("\u00a0", " "),
        ("\u2029", " "),
        ("각", "\u1100\u1161\u11a8"),
        ("ж", code_points.UNKNOWN_LETTER),
        ("\ue000", code_points.UNKNOWN_LETTER),
        ("\U0001f600", code_points.UNKNOWN_LETTER),
        ("«", f" {code_points.UNKNOWN_LETTER} "),
    ],
)
def test_uncased_replacements(char: str, expected: str) -> None:
    tables = code_points.build("aeik=;…中\u1100\u1161\u11a8", True, True, True)
    assert replacement(tables, char) == expected


def test_cased_text_keeps_case_and_accents() -> None:
    tables = code_points.build("É각e\u0301", False, False, True)
    assert [replacement(tables, char) for char in "É각\u0301"] == ["É", "각", "\u0301"]
    assert replacement(tables, "é") == code_points.UNKNOWN_LETTER


def test_ideographs_as_letters_go_to_private_use() -> None:
    tables = code_points.build("中", True, True, False)
    assert replacement(tables, "中") == code_points.to_private("中") == "\U000f4e2d"
    chars = [chr(code) for code in [*range(0x3400, 0xFB00), *range(0x20000, 0x2FA20)]]
    ideographs = "".join(char for char in chars if code_points.is_chinese(ord(char)))
    moved = code_points.to_private(ideographs)
    assert len(set(moved)) == len(ideographs)
    assert {unicodedata.category(char) for char in moved[:1000]} == {"Co"}


def test_tables_stay_small() -> None:
    alphabet = {chr(code) for code in range(0x4E00, 0x6F00)}
    tables = code_points.build(alphabet, True, True, True)
    assert sum(np.asarray(table).nbytes for table in tables) < 400_000


def test_only_sigma_and_moving_marks_need_context() -> None:
    tables = code_points.build("a", True, True, True)
    chars = [chr(c) for c in range(0x110000) if entry(tables, chr(c)) & code_points.CONTEXTUAL]
    for char in chars:
        parts = unicodedata.normalize("NFD", char)
        assert char == "Σ" or any(
            unicodedata.combining(part) and unicodedata.category(part) != "Mn" for part in parts
        )
    assert "Σ" in chars and "\U00016ff0" in chars and "\U0001d160" in chars
