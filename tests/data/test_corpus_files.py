"""Pieces of a corpus: every byte in exactly one, cut where documents end."""

from __future__ import annotations

import gzip
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_keras.data.corpus_files import DOCUMENTS, find_files, fingerprint, plan
from bert_keras.data.corpus_text import read_piece
from bert_keras.errors import UserError

texts = st.lists(
    st.text(alphabet="ab é\n\n\r\t", max_size=80).map(lambda text: text.encode()), max_size=5
)


def _write(folder, contents):
    for number, content in enumerate(contents):
        (folder / f"{number}.txt").write_bytes(content)
    (folder / "last.txt").write_bytes(b"end")
    return find_files(f"{folder}/*.txt")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=texts, piece_bytes=st.integers(1, 100), documents=st.sampled_from(DOCUMENTS[:3]))
def test_every_byte_is_in_one_piece(tmp_path_factory, contents, piece_bytes, documents):
    files = _write(tmp_path_factory.mktemp("corpus"), contents)
    pieces = list(plan(files, documents, piece_bytes))
    segments = [segment for piece in pieces for segment in piece]
    # On end, they are the files.
    expected = {file.path: 0 for file in files if file.size}
    for segment in segments:
        assert segment.begin == expected[segment.path] < segment.end
        expected[segment.path] = segment.end
    assert expected == {file.path: file.size for file in files if file.size}
    assert [segment.path for segment in segments] == sorted(segment.path for segment in segments)
    for piece in pieces[:-1]:
        assert sum(segment.end - segment.begin for segment in piece) >= piece_bytes


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=texts, piece_bytes=st.integers(1, 100), documents=st.sampled_from(DOCUMENTS[:3]))
def test_cutting_changes_no_document(tmp_path_factory, contents, piece_bytes, documents):
    files = _write(tmp_path_factory.mktemp("corpus"), contents)
    read = [
        passage.text.strip()
        for piece in plan(files, documents, piece_bytes)
        for passage in read_piece(piece, documents)
    ]
    ends = {"file": r"\Z", "line": "\n", "blank_line": r"\n[ \t\r]*\n"}[documents]
    whole = [re.split(ends, content.decode()) for content in (*contents, b"end")]
    expected = [text.strip() for parts in whole for text in parts]
    assert [text for text in read if text] == [text for text in expected if text]


def test_small_files_share_a_piece_and_a_large_one_is_whole(tmp_path):
    files = _write(tmp_path, [b"a" * 10, b"b" * 10, b"c" * 500, b"", b"d" * 5])
    sizes = [[s.end - s.begin for s in piece] for piece in plan(files, "file", 15)]
    assert sizes == [[10, 10], [500], [5, 3]]


def test_compressed_files_are_never_cut(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"\n".join(b"%d" % i for i in range(999))))
    (piece,) = plan(find_files(f"{tmp_path}/*"), "line", 100)
    assert len(piece) == 1


def test_files_are_found_once_and_sorted(tmp_path):
    for name in ("b.txt", "a.txt", "deep/er/c.txt", "d [x].txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    found = find_files(
        f"{tmp_path}/*.txt,{tmp_path}/**/*.txt,{tmp_path}/a.txt,{tmp_path}/d [x].txt"
    )
    names = [file.path.removeprefix(f"{tmp_path}/") for file in found]
    assert names == ["a.txt", "b.txt", "d [x].txt", "deep/er/c.txt"]


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(UserError, match="--corpus=.*x: matches no file"):
        find_files(f"{tmp_path}/x")
    with pytest.raises(UserError, match="is a folder"):
        find_files(f"{tmp_path}")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(UserError, match="no text in 1 file"):
        find_files(f"{tmp_path}/*.txt")


def test_the_fingerprint_sees_every_change(tmp_path):
    def now():
        return fingerprint(find_files(f"{tmp_path}/*"))

    (tmp_path / "a.txt").write_text("one")
    seen = {now()}
    (tmp_path / "a.txt").write_text("two")
    seen.add(now())
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    seen.add(now())
    (tmp_path / "c.txt").touch()
    seen.add(now())
    assert len(seen) == 4
