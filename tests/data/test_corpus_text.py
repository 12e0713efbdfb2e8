"""Documents of files: formats, encodings, long documents in parts, and every broken input."""

from __future__ import annotations

import gzip
import json

import pytest

from bert_keras.data import corpus_text
from bert_keras.data.corpus_files import Segment
from bert_keras.data.corpus_text import Passage, read_piece
from bert_keras.errors import UserError


def _read(path, documents, **options):
    return list(read_piece((Segment(str(path), 0, path.stat().st_size),), documents, **options))


def _write(tmp_path, content, name="a.txt"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "documents, content, expected",
    [
        ("file", b"one\n\ntwo", ["one\n\ntwo"]),
        ("blank_line", b"one\nmore\n\n \n\ntwo\n", ["one\nmore", "two\n"]),
        ("blank_line", b"\r\n\r\none\r\n\r\ntwo\r\n", ["one\r", "two\r\n"]),
        ("line", b"one\n\ntwo\r\nthree", ["one", "two\r", "three"]),
        ("jsonl", b'{"text": "a\\n\\nb"}\n\n{"text": "c", "x": 1}\r\n', ["a\n\nb", "c"]),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_documents(tmp_path, documents, content, expected, mark):
    passages = _read(_write(tmp_path, mark + content), documents)
    assert [p.text for p in passages if p.text.strip()] == expected
    assert all(passage.begins_document for passage in passages)


def test_gzip(tmp_path):
    path = _write(tmp_path, gzip.compress(b"one\n\ntwo"), "a.txt.gz")
    sizes = []
    passages = _read(path, "blank_line", report=sizes.append)
    assert [passage.text for passage in passages] == ["one", "two"]
    assert sum(sizes) == path.stat().st_size


def test_parts_of_a_piece_are_read_alone(tmp_path):
    path = _write(tmp_path, b"one\ntwo\nthree\n")
    sizes = []
    piece = (Segment(str(path), 4, 8), Segment(str(path), 8, 14))
    passages = list(read_piece(piece, "line", report=sizes.append))
    assert [passage.text for passage in passages] == ["two", "", "three", ""]
    assert sum(sizes) == 10


@pytest.mark.parametrize("documents", ["file", "blank_line"])
@pytest.mark.parametrize(
    "unit", ["Short one. And 1 \t more!\n", "wörter ohne ende ", "。好", "é", "x\n\t\n\n y ", "\n"]
)
@pytest.mark.parametrize("keep_lines", [False, True])
def test_long_documents_come_in_parts(tmp_path, monkeypatch, documents, unit, keep_lines):
    monkeypatch.setattr(corpus_text, "CHUNK_BYTES", 64)
    text = unit * 100 + "end"
    passages = _read(_write(tmp_path, text.encode()), documents, keep_lines=keep_lines)
    assert "".join("".join(p.text for p in passages).split()) == "".join(text.split())
    assert max(len(passage.text) for passage in passages) <= 64 + 64
    if documents == "file" or "\n" not in unit:
        assert [p.begins_document for p in passages] == [True] + [False] * (len(passages) - 1)
    if unit.startswith("Short") and not keep_lines:
        assert all(p.text.rstrip().endswith((".", "!")) for p in passages[:-1])
    if unit.startswith("Short") and keep_lines:
        assert all(p.text.endswith("\n") for p in passages[:-1])


def test_chunks_do_not_depend_on_where_documents_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_text, "CHUNK_BYTES", 16)
    content = b"first document\n\nsecond, which is longer\n \nthird\n\n"
    passages = _read(_write(tmp_path, content), "blank_line")
    documents: list[str] = []
    for text, begins in passages:
        documents = [*documents, text] if begins else [*documents[:-1], documents[-1] + text]
    assert [d.strip() for d in documents if d.strip()] == [
        "first document",
        "second, which is longer",
        "third",
    ]


BROKEN = [
    ("file", b"fine\nbad \xff byte\n", ":2: byte 0xff is not UTF-8, expected UTF-8 text"),
    ("line", b"fine\n\xc3", ":2: byte 0xc3 is not UTF-8"),
    ("file", "x".encode("utf-16"), ":1: the file is UTF-16, expected UTF-8"),
    ("jsonl", b'{"text": "a"}\n\n{"text": \n', ":3: not JSON: '{\"text\":', expected an object"),
    ("jsonl", b'["a"]', ":1: received a JSON list, expected an object with 'text'"),
    ("jsonl", b'{"body": "a"}', ":1: received the fields 'body', expected"),
    ("jsonl", b"{}", ":1: received the fields none, expected"),
    ("jsonl", b'{"text": 5}', ":1: 'text' is 5, not a string"),
    ("jsonl", b"[" * 200_000, ":1: not JSON"),
]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("documents, content, message", BROKEN)
def test_broken_input_is_one_line_with_its_place(tmp_path, documents, content, message, compressed):
    name = "a.gz" if compressed else "a.txt"
    path = _write(tmp_path, gzip.compress(content) if compressed else content, name)
    with pytest.raises(UserError) as error:
        _read(path, documents)
    assert str(error.value).startswith(f"{path}{message}") and "\n" not in str(error.value)


def test_the_line_is_counted_over_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_text, "CHUNK_BYTES", 32)
    lines = [json.dumps({"text": f"document {number}"}) for number in range(50)]
    path = _write(tmp_path, "\n".join([*lines, "{"]).encode())
    with pytest.raises(UserError, match=r"a.txt:51: not JSON: '\{'"):
        _read(path, "jsonl")


def test_files_that_end_early(tmp_path):
    path = _write(tmp_path, gzip.compress(b"text" * 100)[:-9], "a.gz")
    with pytest.raises(UserError, match="a.gz: is not a whole gzip file"):
        _read(path, "file")
    path = _write(tmp_path, b"not compressed", "b.gz")
    with pytest.raises(UserError, match="b.gz: is not a whole gzip file"):
        _read(path, "file")
    path = _write(tmp_path, b"short")
    with pytest.raises(UserError, match="became shorter while it was read"):
        list(read_piece((Segment(str(path), 0, 10),), "file"))
    with pytest.raises(UserError, match="none.txt: cannot be read"):
        list(read_piece((Segment(str(tmp_path / "none.txt"), 0, 10),), "file"))


def test_a_line_must_fit_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_text, "CHUNK_BYTES", 10)
    monkeypatch.setattr(corpus_text, "LONGEST_LINE", 100)
    path = _write(tmp_path, b"short\n" + b"x" * 200)
    with pytest.raises(UserError, match="a.txt:2: a line of more than 100 bytes"):
        _read(path, "line")
    assert "".join(p.text for p in _read(path, "file")).endswith("x" * 200)


def test_passages_are_plain_tuples(tmp_path):
    assert _read(_write(tmp_path, b"one"), "file") == [Passage("one", True)]
