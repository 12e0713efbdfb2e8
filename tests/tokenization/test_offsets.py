"""Positions in the original text."""

from __future__ import annotations

import csv
import json
import pathlib
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.tokenization import BertTokenizer

TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("aB .,'éÉΣς中각\u0301\u200b\x00\x01\x02\ufffd\u00a0\u2028İ≠"),
    ),
    max_size=30,
)
ASCII = st.text(st.characters(max_codepoint=127), max_size=60)


def spans(tok: BertTokenizer, texts: list, unit: str) -> list[list[tuple[int, int, int]]]:
    columns = [ragged.to_list() for ragged in tok.offsets(texts, unit)]
    return [list(zip(*row, strict=True)) for row in zip(*columns, strict=True)]


def assert_slices(pair: tuple[Any, Any], texts: list[str]) -> None:
    """Each slice, tokenized alone, contains its token, and both units agree."""
    tok, reference = pair
    assert tok.offsets(texts)[0].to_list() == tok.tokenize(texts).to_list()
    rows = zip(texts, spans(tok, texts, "char"), spans(tok, texts, "byte"), strict=True)
    for text, chars, in_bytes in rows:
        raw, last = text.encode(), 0
        for (token, start, end), (_, first, stop) in zip(chars, in_bytes, strict=True):
            assert last <= start < end <= len(text), repr(text)
            last = start
            assert raw[first:stop].decode() == text[start:end]
            if token != tok.unk_id:
                piece = reference.pieces[token].removeprefix("##")
                words = "".join(reference.words(text[start:end]))
                # A sigma's form depends on what stands round the slice.
                assert piece.replace("ς", "σ") in words.replace("ς", "σ"), repr(text)


def test_golden(small: BertTokenizer) -> None:
    text = "  Naïve\u200bcafé, unaffable café!"
    (row,) = spans(small, [text], "char")
    assert [(small.vocabulary[token], *span) for token, *span in row] == [
        ("[UNK]", 2, 12),
        (",", 12, 13),
        ("un", 14, 16),
        ("##aff", 16, 19),
        ("##able", 19, 23),
        ("cafe", 24, 28),
        ("!", 28, 29),
    ]
    (row,) = spans(small, [text], "byte")
    assert [span for _, *span in row] == [
        [2, 16],
        [16, 17],
        [18, 20],
        [20, 23],
        [23, 27],
        [28, 33],
        [33, 34],
    ]


def test_a_dropped_accent_inside_a_token_belongs_to_it(small: BertTokenizer) -> None:
    text = "cafe\u0301x nai\u0308ve"
    (row,) = spans(small, [text], "char")
    assert text[slice(*row[-1][1:])] == "nai\u0308ve"


def test_rows_do_not_shift_each_other(small: BertTokenizer) -> None:
    texts = ["good", "é café", "bad film", "", "\x00 good", "film"]
    alone = [spans(small, [text], "char")[0] for text in texts]
    assert spans(small, texts, "char") == alone


def test_invalid_bytes_count_as_bytes_but_not_as_characters(small: BertTokenizer) -> None:
    text = b"\xff\xe4\xb8 good \xc3\xa9\xed\xa0\x80 bad"
    assert spans(small, [text], "byte")[0][0][1:] == (4, 8)
    decoded = text.decode("utf-8", "ignore")
    _, start, end = spans(small, [text], "char")[0][-1]
    assert decoded[start:end] == "bad"
    _, start, end = spans(small, [text], "byte")[0][-1]
    assert text[start:end] == b"bad"


@given(st.lists(TEXT, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_slices(complete: Any, texts: list[str]) -> None:
    assert_slices(complete, texts)


@given(st.lists(ASCII, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_plain_path_equals_the_table_path(small: BertTokenizer, texts: list[str]) -> None:
    split = small._ready.tokenize
    rows = tf.strings.lower(tf.constant(texts))
    nothing_plain = tf.zeros([len(texts)], tf.bool)
    for unit in ("char", "byte"):
        ours = split(tf.constant(texts), unit)
        slow = split._mixed(rows, nothing_plain, unit)
        for quick, careful in zip(ours, slow, strict=True):
            assert quick.numpy().tolist() == careful.numpy().tolist()


def test_real_text(published: Any, data: pathlib.Path) -> None:
    articles = json.loads((data / "squad" / "dev-v1.1.json").read_text("utf-8"))["data"]
    contexts = [p["context"] for article in articles for p in article["paragraphs"]]
    path = data / "chinese_sentiment" / "ChnSentiCorp_htl_all.csv"
    with path.open(encoding="utf-8", newline="") as file:
        chinese = [row[1] for row in csv.reader(file)]
    assert_slices(published, [*contexts[::160], *chinese[::800]])


def test_unit_is_checked(small: BertTokenizer) -> None:
    with pytest.raises(ValueError, match="unit='word'"):
        small.offsets(["a"], "word")
