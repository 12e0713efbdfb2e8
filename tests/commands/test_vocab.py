"""`bert-keras vocab`: the file it writes, the same each time, and errors of one line."""

from __future__ import annotations

import gzip
import pathlib

import pytest

from bert_keras import cli
from bert_keras.tokenization.vocabulary_training import train_vocabulary


@pytest.fixture
def corpus(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "a.txt").write_text("The lighthouse keeper lights the light.\n" * 50)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"Brighter nights, Zo\xc3\xab!\n" * 50))
    return tmp_path


def _vocab(corpus: pathlib.Path, *flags: str) -> int:
    output = f"--output={corpus}/new/vocab.txt"
    return cli.main(["vocab", f"--corpus={corpus}/*", output, "--size=80", *flags])


def test_the_pieces_of_all_files(corpus, capsys):
    assert _vocab(corpus) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{corpus}/new/vocab.txt: ") and "pieces from" in printed.out
    assert printed.err.splitlines()[-1].startswith("vocab: ")
    written = (corpus / "new" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    texts = [(corpus / "a.txt").read_text(), gzip.decompress((corpus / "b.txt.gz").read_bytes())]
    assert written == [*train_vocabulary([texts[0], texts[1].decode()], 80), ""]
    assert "light" in written and "zoe" in written
    assert [path.name for path in (corpus / "new").iterdir()] == ["vocab.txt"]


@pytest.mark.parametrize("documents", ["file", "blank_line", "line"])
def test_the_kind_of_documents_changes_nothing(corpus, documents):
    assert _vocab(corpus) == 0
    first = (corpus / "new" / "vocab.txt").read_bytes()
    assert _vocab(corpus, f"--documents={documents}") == 0
    assert (corpus / "new" / "vocab.txt").read_bytes() == first


def test_flags_reach_the_trainer(corpus):
    (corpus / "b.txt.gz").unlink()
    (corpus / "a.txt").write_text('{"t": "Abba Abba"}\n{"t": "Xx"}\n')
    flags = ["--documents=jsonl", "--text_field=t", "--cased", "--min_frequency=2"]
    assert _vocab(corpus, *flags) == 0
    written = (corpus / "new" / "vocab.txt").read_text().split()
    assert "Abba" in written and "Xx" not in written and "X" in written
    assert _vocab(corpus, *flags, "--alphabet_size=3") == 0
    written = (corpus / "new" / "vocab.txt").read_text().split()
    assert {len(piece.removeprefix("##")) for piece in written[5:11]} == {1}
    assert "X" not in written or "x" not in written or "a" not in written


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--corpus=none/*", "--corpus=none/*: matches no file"),
        ("--size=8", "size 8 is too small"),
        ("--output=.", "--output=.: is a folder, expected the name of a file"),
    ],
)
def test_errors_are_one_line(corpus, capsys, flag, message):
    assert _vocab(corpus, flag) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_an_error_leaves_the_old_file(corpus):
    assert _vocab(corpus) == 0
    first = (corpus / "new" / "vocab.txt").read_bytes()
    (corpus / "c.txt").write_bytes(b"\xff")
    assert _vocab(corpus) == 2
    assert (corpus / "new" / "vocab.txt").read_bytes() == first
