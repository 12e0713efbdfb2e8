"""Texts to embed: single, pairs with and without scores, triplets; what the reader refuses."""

from __future__ import annotations

import pytest

from bert_keras.data.sentences_to_embed import read_sentences, sentences_of
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError


def _source(tmp_path, content, **columns):
    path = tmp_path / "x.tsv"
    path.write_text(content, encoding="utf-8")
    return DataSource(str(path), **columns)


@pytest.mark.parametrize(
    ("header", "row", "kind", "json"),
    [
        (
            "sentence1\tsentence2\tscore",
            "a\tb\t2.5",
            "pairs of texts with scores",
            {"text": "a", "text_pair": "b", "label": 2.5},
        ),
        ("text\ttext_pair", "a\tb", "pairs of texts", {"text": "a", "text_pair": "b"}),
        ("positive\tanchor", "b\ta", "pairs of texts", {"text": "a", "text_pair": "b"}),
        (
            "negative\tanchor\tpositive",
            "c\ta\tb",
            "triplets of texts",
            {"anchor": "a", "positive": "b", "negative": "c"},
        ),
    ],
)
def test_kinds_go_by_columns(tmp_path, header, row, kind, json):
    found = read_sentences(_source(tmp_path, f"{header}\n{row}\n"))
    assert found.kind() == kind and found.row(0) == json
    assert len(found) == 1 and found.where(0).endswith("x.tsv:2")
    assert len(found.part(1, 1)) == 0 and found.part(0, 1).row(0) == json


def test_to_predict_a_text_is_enough(tmp_path):
    source = _source(tmp_path, "text\tscore\na\tnone\n")
    found = read_sentences(source, labelled=False)
    assert found.kind() == "single texts" and found.scores is None
    with pytest.raises(UserError, match="has single texts, expected pairs or triplets"):
        read_sentences(source)
    pairs = _source(tmp_path, "text\ttext_pair\na\tb\n", text_column="text_pair")
    assert read_sentences(pairs, labelled=False).texts == ["b"]


@pytest.mark.parametrize("score", ["high", "nan", "inf", ""])
def test_a_score_is_a_number(tmp_path, score):
    source = _source(tmp_path, f"text\ttext_pair\tscore\na\tb\t1\na\tb\t{score}\n")
    with pytest.raises(UserError, match=r"x\.tsv:3: column 'score'"):
        read_sentences(source)


def test_the_scale_of_scores():
    assert sentences_of([["a"], ["b"]], [0.4]).max_score() == 1
    fives = sentences_of([["a", "a"], ["b", "b"]], [0.4, 4])
    assert fives.max_score() == 5 and fives.scaled_scores(5) == [0.08, 0.8]
    with pytest.raises(UserError, match="the highest score is 9, give --max_score"):
        sentences_of([["a"], ["b"]], [9]).max_score()
    with pytest.raises(UserError, match="the inputs:2: the score is 4, expected 0 to 1"):
        fives.scaled_scores(1)
    with pytest.raises(UserError, match="the score is -1"):
        sentences_of([["a"], ["b"]], [-1]).scaled_scores(1)


def test_lists_of_one_length():
    with pytest.raises(ValueError, match="as many texts"):
        sentences_of([["a"], ["b", "c"]])
    with pytest.raises(ValueError, match="one to three lists"):
        sentences_of([["a"]] * 4)
