"""Sentences of tagged words from every form of file."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import read_tagged, sentences_of
from bert_keras.errors import UserError

COLUMNS = "-DOCSTART- -X- O\n\nAda NNP B-PER\nslept VBD O\n\n\nIn IN O\nYork NNP B-LOC\n"


@pytest.fixture
def read(tmp_path):
    def read(name: str, text: str, labelled: bool = True, **columns: str):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_tagged(DataSource(str(path), **columns), labelled)

    return read


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.bio", "wnut17.train", "a.tsv"])
@pytest.mark.parametrize("separator", [" ", "\t", "  "])
def test_columns_of_any_name(read, name, separator):
    found = read(name, COLUMNS.replace(" ", separator))
    assert found.words == [["Ada", "slept"], ["In", "York"]]
    assert found.tags == [["B-PER", "O"], ["O", "B-LOC"]]
    assert found.where(1, 1).endswith(f"{name}:8")
    assert found.row(0) == {"words": ["Ada", "slept"], "tags": ["B-PER", "O"]}
    assert found.part(1, 2).row(0)["words"] == ["In", "York"]
    assert found.part(1, 2).where(0).endswith(":7")


def test_other_columns(read):
    assert read("a.conll", COLUMNS, label_column="2").tags == [["NNP", "VBD"], ["IN", "NNP"]]
    assert read("a.conll", COLUMNS, text_column="2").words[0] == ["NNP", "VBD"]
    with pytest.raises(
        UserError, match=r"a.conll: label_column=4: expected the number of a column, 1 to 3"
    ):
        read("a.conll", COLUMNS, label_column="4")


def test_blank_lines_may_hold_tabs_and_byte_order_marks(read):
    found = read("a.train", "\ufeffa\tO\n\t\nb c\tO\n\ufeff\nd\u00a0e\tO\n")
    assert found.words == [["a"], ["b c"], ["d\u00a0e"]]


def test_places_of_chinese_characters_are_dropped(read):
    text = "科0\tO\n技1\tO\n10\tO\n\ufffd\ufffd0\tO\n\n20\tO\n"
    assert read("w.train", text).words[0] == ["科", "技", "1", "\ufffd\ufffd"]
    # Where one word has none, the digits belong to the words.
    assert read("w.train", "A0\tO\nB\tO\n").words == [["A0", "B"]]
    assert read("w.train", "A4\tO\nB1\tO\n").words == [["A4", "B1"]]


def test_json_lines(read):
    text = '{"tokens": ["Ada"], "ner_tags": ["B-PER"]}\n{"tokens": [], "ner_tags": []}\n'
    found = read("a.jsonl", text)
    assert (found.words, found.tags) == ([["Ada"], []], [["B-PER"], []])
    assert found.where(1, 3).endswith("a.jsonl:2")
    assert read("a.jsonl", text, labelled=False).tags is None
    assert read("a.jsonl", '{"text": "Ada slept"}\n', labelled=False).texts == ["Ada slept"]


def test_sentences_to_tag(read):
    assert read("a.txt", "Ada slept.\n\nYork\n", labelled=False).texts == ["Ada slept.", "", "York"]
    assert read("a.tsv", "text\tid\nAda slept\t1\n", labelled=False).texts == ["Ada slept"]
    assert read("a.csv", 'text\n"Ada, too"\n', labelled=False).texts == ["Ada, too"]
    found = read("a.txt", COLUMNS, labelled=False)
    assert (found.words, found.tags) == ([["Ada", "slept"], ["In", "York"]], None)
    assert read("a.conll", "Ada\nslept\n", labelled=False).words == [["Ada", "slept"]]


@pytest.mark.parametrize(
    "text",
    [
        "Ada drove on I-95",
        "Her blood type is O",
        "Send me an E-mail\nGet in the S-class",
        "type O\n",
        "They parked it in B-52\nThe blood was type O\nNobody was told of I-80",
    ],
)
def test_texts_that_end_like_a_tag_are_texts(read, text):
    found = read("a.txt", text, labelled=False)
    assert (found.texts, found.words) == (text.strip().split("\n"), None)


@pytest.mark.parametrize("text", ["a\tO\n", "a O\nb B-x\n", "a X O\n\nb X B-x\nc Y O\nd Y O\n"])
def test_columns_under_the_name_of_a_text_are_columns(read, text):
    found = read("a.txt", text, labelled=False)
    assert found.words[0] == ["a"] or found.words == [["a", "b"]]


def test_json_lines_to_tag_name_their_column(read):
    assert read("a.jsonl", '{"body": "Ada"}\n', False, text_column="body").texts == ["Ada"]
    assert read("a.jsonl", '{"sentence": "Ada"}\n', False).texts == ["Ada"]
    assert read("a.json", '{"tokens": ["Ada"]}\n', False).words == [["Ada"]]
    with pytest.raises(UserError, match=r"a.jsonl:1: no text column; the columns are body"):
        read("a.jsonl", '{"body": "Ada"}\n', False)


TAGGED = '{"words": ["a"], "tags": ["O"]}\n'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conll", "a O\nb\n", r"a.conll:2: received 1 column\(s\) \('b'\), expected 2"),
        ("a.conll", "a O\n\nb c O\n", r"a.conll:3: received 3 column\(s\)"),
        ("a.conll", "a\nb\n", "a.conll:1: received 'a', expected a word and, in the last"),
        ("a.conll", "a\tO\n\tO\n", "a.conll:2: a column is empty"),
        ("a.conll", "-DOCSTART- O\n", "a.conll: has no words"),
        (
            "a.csv",
            "text,label\na,b\n",
            "a.csv:1: the columns are text, label, expected one of words, t",
        ),
        ("a.jsonl", '{"words": ["a"], "tags": []}\n', "a.jsonl:1: 1 words but 0 tags"),
        ("a.jsonl", '{"words": "a", "tags": []}\n', "a.jsonl:1: column 'words' holds \"a\""),
        (
            "a.jsonl",
            '{"words": ["a", null], "tags": ["O", "O"]}\n',
            "a.jsonl:1: column 'words' holds null, expected a text",
        ),
        (
            "a.jsonl",
            '{"words": ["a", "b"], "tags": ["O", ""]}\n',
            "a.jsonl:1: column 'tags' has \"\" at 2, expected a tag",
        ),
        (
            "a.jsonl",
            '{"words": ["a"], "tags": [1.5]}\n',
            "a.jsonl:1: column 'tags' has 1.5 at 1, expected a tag",
        ),
        (
            "a.jsonl",
            TAGGED + '{"words": ["b"]}\n',
            "a.jsonl:2: column 'tags' is missing",
        ),
        ("a.jsonl", TAGGED + '{"tags": ["O"]}\n', "a.jsonl:2: column 'words' is missing"),
        (
            "a.jsonl",
            '{"words": ["a"]}\n',
            "a.jsonl:1: the columns are words, expected one of tags, ner_",
        ),
    ],
)
def test_what_is_malformed_is_named_with_its_line(read, name, text, message):
    with pytest.raises(UserError, match=message):
        read(name, text)


def test_rows_of_other_lengths_are_skipped(tmp_path):
    path, bad_rows = tmp_path / "a.jsonl", BadRows(skip=True)
    bad = '{"words": ["b", "c"], "tags": ["O"]}\n{"words": ["d"], "tags": [true]}\n'
    path.write_text(TAGGED + bad + TAGGED)
    found = read_tagged(DataSource(str(path), bad_rows=bad_rows))
    assert (found.words, found.lines) == ([["a"], ["a"]], [1, 4])
    reasons = [(row.where.rpartition(":")[2], row.reason) for row in bad_rows.skipped]
    # A value is checked when its column is read, the number of values afterwards.
    assert reasons == [
        ("3", "column 'tags' has true at 1, expected a tag"),
        ("2", "2 words but 1 tags, expected as many"),
    ]


def test_numbers_are_tags_and_words(read):
    found = read("a.jsonl", '{"tokens": ["in", 2019], "ner_tags": [0, 1]}\n')
    assert (found.words, found.tags) == ([["in", "2019"]], [["0", "1"]])
    assert found.with_tag_names(["O", "B-YEAR"]).tags == [["O", "B-YEAR"]]
    assert found.with_tag_names(["0", "1"]) is found
    with pytest.raises(UserError, match="a.jsonl:1: received the tag 1, expected a name or a nu"):
        found.with_tag_names(["O"])


def test_parquet(tmp_path):
    arrays = {"tokens": [["Ada", "slept"], ["x"]], "ner_tags": [["B-PER", "O"], ["O"]]}
    pq.write_table(pa.table(arrays), tmp_path / "a.parquet")
    found = read_tagged(DataSource(str(tmp_path / "a.parquet")))
    assert (found.words, found.tags) == (arrays["tokens"], arrays["ner_tags"])


def test_lists_are_checked():
    assert sentences_of([["a"]], [["O"]]).row(0) == {"words": ["a"], "tags": ["O"]}
    assert sentences_of(texts=["a b"]).row(0) == {"text": "a b"}
    with pytest.raises(ValueError, match="words and tags differ in number"):
        sentences_of([["a", "b"]], [["O"]])
    with pytest.raises(ValueError, match="expected lists of strings"):
        sentences_of(["not a list"], None)
