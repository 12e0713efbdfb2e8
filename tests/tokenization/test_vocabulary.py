"""Reading, checking and writing vocabularies."""

from __future__ import annotations

import pathlib

import pytest

from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer, vocabulary

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def written(tmp_path: pathlib.Path, content: bytes) -> pathlib.Path:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    return path


def test_ids_are_line_numbers_whatever_the_line(tmp_path: pathlib.Path) -> None:
    odd = ["", "\u2028", "##\u2028", "a\u2028b", "\x85", "c\x0bd", " e ", "\u3000"]
    path = written(tmp_path, "\n".join([*SPECIALS, *odd, "f"]).encode())
    pieces = vocabulary.read(path)
    assert pieces == [*SPECIALS, "", "", "##", "a\u2028b", "", "c\x0bd", "e", "", "f"]
    tok = BertTokenizer(path)
    assert tok.tokenize(["e f a\u2028b c\x0bd ##"]).to_list() == [[10, 12, 1, 1, 1, 1, 1]]


def test_windows_line_ends_and_byte_order_mark(tmp_path: pathlib.Path) -> None:
    content = "\r\n".join([*SPECIALS, "film", "##s", ""]).encode("utf-8-sig")
    tok = BertTokenizer(written(tmp_path, content))
    assert tok.vocab_size == 6
    assert tok.tokenize(["films"]).to_list() == [[4, 5]]


def test_of_equal_pieces_the_last_counts() -> None:
    tok = BertTokenizer([*SPECIALS, "a", "b", "a"])
    assert tok.tokenize(["a b"]).to_list() == [[6, 5]]
    assert tok.vocab_size == 7


def test_a_trailing_line_end_is_no_piece_but_a_blank_line_is(tmp_path: pathlib.Path) -> None:
    base = "\n".join(SPECIALS)
    assert len(vocabulary.read(written(tmp_path, f"{base}\n".encode()))) == 4
    assert len(vocabulary.read(written(tmp_path, f"{base}\n\n".encode()))) == 5


def test_written_and_read_again(tmp_path: pathlib.Path) -> None:
    pieces = [*SPECIALS, "", "é", ""]
    vocabulary.write(pieces, tmp_path / "vocab.txt")
    assert vocabulary.read(tmp_path) == pieces


def test_missing_specials_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"2 pieces without \[UNK\], \[CLS\], \[SEP\]"):
        vocabulary.read(["[PAD]", "a"])
    with pytest.raises(UserError, match=r"vocab\.txt: 1 pieces without"):
        vocabulary.read(written(tmp_path, b"a"))


def test_unreadable_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        vocabulary.read(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match=r"vocab\.txt:3: not UTF-8"):
        vocabulary.read(written(tmp_path, b"[PAD]\n[UNK]\n\xe9t\xe9\n"))


def test_pieces_that_no_text_contains_cannot_match_the_unknown_letter() -> None:
    tok = BertTokenizer([*SPECIALS, "\x01", "a\x01", "##\x01", "a"])
    assert tok.tokenize(["ж a\x01 aж"]).to_list() == [[1, 7, 1]]


def test_which_vocabularies_are_cased(data: pathlib.Path) -> None:
    found = {
        name: vocabulary.is_cased(vocabulary.read(data / "vocab" / name))
        for name in ("uncased_30522", "cased_28996", "chinese_21128")
    }
    assert found == {"uncased_30522": False, "cased_28996": True, "chinese_21128": False}
