"""Tables in the forms in which they come, each read with the right values or refused."""

from __future__ import annotations

import pathlib
from collections import Counter
from typing import Any

import pytest

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.examples import Examples, read_kind
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

_TEXTS = ["a fine film", "a dull film", "great acting", "weak plot", "I liked it", "I hated it"]
_LABELS = ["pos", "neg"] * 3
_NUMBERS = ["1", "0"] * 3
_SPAM = {"text_column": "v2", "label_column": "v1"}

# File, how it is read, its first rows as texts and labels, and how many there are.
_READ: list[tuple[str, dict[str, Any], list[str], list[str], int]] = [
    *((name, {}, _TEXTS, _LABELS, 24) for name in (
        "ok.csv", "semicolon.csv", "blank_line.csv", "blank_line.tsv", "blank_line.jsonl",
        "caps.csv", "space_header.csv", "space_quote.csv", "bom_quoted.csv", "array.json",
        "array_pretty.json", "data_key.json", "index.csv", "trailing_comma.csv", "dupcols.csv",
    )),
    ("int.csv", {}, _TEXTS, _NUMBERS, 24),
    ("float_train.csv", {}, _TEXTS, _NUMBERS, 24),
    ("float_dev.csv", {}, _TEXTS, _NUMBERS, 6),
    ("rare_class.csv", {}, _TEXTS, _LABELS, 25),
    ("huge.csv", {}, _TEXTS, _LABELS, 25),
    ("one_class_dev.csv", {}, _TEXTS[::2], ["pos"] * 3, 12),
    ("unseen_dev.csv", {}, [*_TEXTS, "a film"], [*_LABELS, "meh"], 7),
    ("cp1252.csv", {"encoding": "cp1252"}, ["a fine café", *_TEXTS[1:]], _LABELS, 24),
    ("no_header.csv", {"text_column": "1", "label_column": "2"}, _TEXTS, _LABELS, 24),
    ("number_text.jsonl", {}, [*_TEXTS[:3], "2019"], _LABELS[:4], 24),
    ("pandas_quotes.tsv", {}, ['he said "no" twice', "fine"], ["neg", "pos"], 12),
    ("pandas_newline.tsv", {}, ["one line\nand another", "fine"], ["neg", "pos"], 12),
    ("spam_utf8.csv", _SPAM, _TEXTS, ["ham", "spam"] * 3, 24),
    (
        "spam.csv",
        {**_SPAM, "encoding": "cp1252"},
        ["only £5 a film", *_TEXTS[1:]],
        ["ham", "spam"] * 3,
        24,
    ),
]  # fmt: skip

# File, the message of its first bad row, the lines that are skipped, and how many rows are left.
_SKIPPED = [
    ("null_text.jsonl", ":4: column 'text' holds null, expected a text", [4], 23),
    ("first_line_fewer_keys.jsonl", ":1: column 'label' is missing, expected a label", [1], 24),
    ("tab_in_text.tsv", r":26: received 3 field\(s\), expected 2 \(text, label\)", [26], 24),
    (
        "short_rows.csv",
        r":6: received 2 field\(s\), expected 3 \(text, label, comment\)",
        list(range(6, 26)),
        4,
    ),
]

_REFUSED = [
    ("cp1252.csv", "cp1252.csv:2: byte 0xe9 .* give the file's encoding, such as encoding=cp1252"),
    ("no_header.csv", "if line 1 is a row, the file has no header: give the columns' numbers"),
    ("nested.jsonl", "columns are data, annotations, .* values inside of objects are not read"),
]


@pytest.fixture(scope="module")
def files(assets: pathlib.Path) -> pathlib.Path:
    folder = assets / "cases" / "files"
    if not folder.is_dir():
        pytest.skip("cases/files is not among the assets of BERT_KERAS_ASSETS")
    return folder


def _read(path: pathlib.Path, bad_rows: BadRows | None = None, **options: Any) -> Examples:
    return read_kind(Examples, DataSource(str(path), bad_rows=bad_rows or BadRows(), **options))


@pytest.mark.parametrize(
    ("name", "options", "texts", "labels", "count"), _READ, ids=[row[0] for row in _READ]
)
def test_read(
    files: pathlib.Path,
    name: str,
    options: dict[str, Any],
    texts: list[str],
    labels: list[str],
    count: int,
) -> None:
    examples = _read(files / name, **options)
    assert examples.texts[: len(texts)] == texts
    assert (examples.labels or [])[: len(labels)] == labels
    assert len(examples) == count and examples.pairs is None
    assert len(set(Counter(examples.labels).values())) <= 2


@pytest.mark.parametrize(("name", "message", "lines", "left"), _SKIPPED)
def test_bad_rows(
    files: pathlib.Path, name: str, message: str, lines: list[int], left: int
) -> None:
    with pytest.raises(UserError, match=message):
        _read(files / name)
    bad_rows = BadRows(skip=True)
    examples = _read(files / name, bad_rows)
    assert len(examples) == left
    assert [row.where for row in bad_rows.skipped] == [f"{files / name}:{line}" for line in lines]
    assert not set(examples.lines) & set(lines)


@pytest.mark.parametrize(("name", "message"), _REFUSED)
def test_refused(files: pathlib.Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        _read(files / name, BadRows(skip=True))
    assert "\n" not in str(caught.value)
