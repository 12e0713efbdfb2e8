"""Text to pretrain on in the forms in which it comes: documents and sentences by number."""

from __future__ import annotations

import re

import pytest

from bert_keras import cli
from tests import small


@pytest.mark.parametrize(
    ("name", "documents", "counts"),
    [
        ("pt_one_doc.txt", "file", (1, 300)),
        ("pt_one_doc.txt", "line", (60, 300)),
        ("pt_two_docs.txt", "blank_line", (2, 300)),
        ("pt_single_sentences.txt", "blank_line", (400, 400)),
        ("pt_thai.txt", "blank_line", (200, 200)),
        ("pt_longline.txt", "line", (1, 100_000)),
    ],
)
def test_documents_and_sentences(assets, tmp_path, capsys, name, documents, counts):
    path = assets / "cases" / "files" / name
    if not path.is_file():
        pytest.skip("cases/files is not among the assets of BERT_KERAS_ASSETS")
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    arguments = [f"--corpus={path}", f"--vocab={tmp_path}/vocab.txt", f"--documents={documents}"]
    assert cli.main(["prepare", *arguments, f"--output_dir={tmp_path}/store"]) == 0
    shown = re.search(r": ([\d,]+) documents, ([\d,]+) sentences, ", capsys.readouterr().out)
    assert shown is not None
    assert tuple(int(number.replace(",", "")) for number in shown.groups()) == counts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good film\ncaf\xe9 au lait\n", "a.txt:2: byte 0xe9 is not UTF-8, .* with iconv -f WI"),
        ("good film\n".encode("utf-16"), "a.txt:1: the file is UTF-16, .* iconv -f UTF-16 -t UT"),
    ],
)
def test_other_encodings_are_refused(tmp_path, capsys, content, message):
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    (tmp_path / "a.txt").write_bytes(content)
    arguments = [f"--corpus={tmp_path}/a.txt", f"--vocab={tmp_path}/vocab.txt"]
    assert cli.main(["prepare", *arguments, f"--output_dir={tmp_path}/store"]) == 2
    assert re.search(message, capsys.readouterr().err)
