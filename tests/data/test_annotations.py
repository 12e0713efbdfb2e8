"""What annotation tools write becomes words and tags."""

from __future__ import annotations

import json
import pathlib

import pytest

from bert_keras.data.annotations import read_annotations
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import read_tagged
from bert_keras.errors import UserError
from tests.data.test_word_columns import TAGS, WORDS

CLUENER = {
    "text": "浙商银行企业信贷部叶老桂博士",
    "label": {"name": {"叶老桂": [[9, 11]]}, "company": {"浙商银行": [[0, 3]]}},
}


@pytest.fixture
def read(tmp_path):
    def read(*rows, **arguments):
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        found = read_annotations(DataSource(str(path), **arguments))
        return found.tool, [(one.words, one.tags) for one in found.sentences]

    return read


def _studio(text: str, *results: dict, key: str = "annotations", **more) -> dict:
    return {"data": {"text": text}, key: [{"result": list(results), **more}]}


def _label(start: int, end: int, kind: str, **more) -> dict:
    return {"type": "labels", "value": {"start": start, "end": end, "labels": [kind], **more}}


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("doccano.jsonl", "doccano"),
        ("labelstudio.json", "Label Studio"),
        ("kaggle.csv", "Kaggle's word per row"),
    ],
)
def test_published_forms(assets: pathlib.Path, name: str, tool: str) -> None:
    found = read_annotations(DataSource(str(assets / "cases" / "files" / name)))
    assert found.tool == tool
    assert [one.words for one in found.sentences] == WORDS * 6
    assert [one.tags for one in found.sentences] == TAGS * 6


def test_cluener(read):
    """The last character of a span is part of it; every ideograph is a word."""
    tool, [(words, tags)] = read(CLUENER)
    assert (tool, words) == ("CLUENER", list(CLUENER["text"]))
    assert tags == [
        *("B-company", "I-company", "I-company", "I-company", *["O"] * 5),
        *("B-name", "I-name", "I-name", "O", "O"),
    ]


SPANS = [
    {"label": [[0, 3, "PER"], [10, 14, "LOC"]]},
    {"labels": [[10, 14, "LOC"], [0, 3, "PER"], [0, 3, "PER"]]},
    # doccano's later form, with relations between entities.
    {
        "entities": [
            {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 3},
            {"id": 2, "label": "LOC", "start_offset": 10, "end_offset": 14},
        ],
        "relations": [],
    },
    # Label Studio's JSON-MIN.
    {
        "label": [
            {"start": 0, "end": 3, "text": "Ada,", "labels": ["PER"]},
            {"start": 10, "end": 14, "text": "Rome", "labels": ["LOC"]},
        ]
    },
    # Prodigy's.
    {"spans": [{"start": 0, "end": 3, "label": "PER"}, {"start": 10, "end": 14, "label": "LOC"}]},
]
SPANS[3]["label"][0]["text"] = "Ada"


@pytest.mark.parametrize("spans", SPANS)
def test_spans_of_characters(read, spans):
    """Punctuation is a word; spans may come in any order."""
    _, [(words, tags), empty] = read(
        {"text": "Ada, now (Rome).", **spans}, {"text": "no", **dict.fromkeys(spans, [])}
    )
    assert words == ["Ada", ",", "now", "(", "Rome", ")", "."]
    assert tags == ["B-PER", "O", "O", "O", "B-LOC", "O", "O"]
    assert empty == (["no"], ["O"])


def test_label_studio(read):
    canceled = {"result": [_label(0, 3, "LOC")], "was_cancelled": True}
    task = _studio("Ada slept", {"type": "choices", "value": {"choices": ["x"]}}, _label(0, 3, "P"))
    task["annotations"].insert(0, canceled)
    completed = _studio("Bob", _label(0, 3, "P", text="Bob"), key="completions")
    tool, found = read(task, {"data": {"title": "none"}, "annotations": [{"result": []}]})
    assert tool == "Label Studio"
    assert found == [(["Ada", "slept"], ["B-P", "O"]), (["none"], ["O"])]
    assert read(completed)[1] == [(["Bob"], ["B-P"])]


def test_offsets_that_count_an_emoji_twice(read):
    """Label Studio counts UTF-16 units, and names the text of a span."""
    row = _studio("\N{GRINNING FACE} Ada slept", _label(3, 6, "P", text="Ada"))
    assert read(row)[1] == [(["\N{GRINNING FACE}", "Ada", "slept"], ["O", "B-P", "O"])]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Ada", "label": [[1, 3, "P"]]}, r"the span 1 to 3 \(P\) begins or ends inside"),
        ({"text": "Ada", "label": [[0, 2, "P"]]}, r"inside the word 'Ada' \(0 to 3\), expected w"),
        ({"text": "Ada", "label": [[0, 4, "P"]]}, r"0 to 4 \(P\) is not in the text of 3 charac"),
        ({"text": "Ada", "label": [[2, 2, "P"]]}, r"2 to 2 \(P\) is not in the text of 3 charac"),
        (
            {"text": "a b c", "label": [[0, 3, "P"], [2, 5, "Q"]]},
            r"the spans 0 to 3 \(P\) and 2 to 5 \(Q\) overlap, expected one tag for each word",
        ),
        ({"text": "a   b", "label": [[1, 3, "P"]]}, r"the span 1 to 3 \(P\) has no words in it"),
        ({"text": "Ada", "label": [[0, "3", "P"]]}, 'has the offset "3", expected a whole number'),
        ({"text": "Ada", "label": [[0, 3, ""]]}, "is empty, expected a label"),
        ({"text": None, "label": [[0, 3, "P"]]}, "has no text, expected one under text, data"),
        ({"text": "Ada", "label": "P"}, "column 'label' holds \"P\", expected spans: "),
        ({"text": "Ada"}, "has no spans, expected them under label, labels, entities"),
    ],
)
def test_rows_that_cannot_be_used(read, row, message):
    good = {"text": "Bob", "label": [[0, 3, "P"]]}
    with pytest.raises(UserError, match=rf"a.jsonl:2: .*{message}"):
        read(good, row)
    bad_rows = BadRows(skip=True)
    assert read(good, row, good, bad_rows=bad_rows)[1] == [(["Bob"], ["B-P"])] * 2
    assert [skipped.row for skipped in bad_rows.skipped] == [row]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**CLUENER, "label": {"name": {"叶老": [[9, 11]]}}}, r"holds '?叶老桂'?, expected '?叶老"),
        (_studio("Ada slept", _label(0, 3, "P", text="Eve")), "holds 'Ada', expected 'Eve'"),
        ({"data": {"text": "Ada"}, "annotations": []}, "has no annotation, expected one with a"),
    ],
)
def test_spans_are_where_their_own_text_is(read, row, message):
    with pytest.raises(UserError, match=message):
        read(_studio("Ada") if "data" in row else CLUENER, row)


def _csv(tmp_path: pathlib.Path, *rows: str) -> str:
    path = tmp_path / "ner.csv"
    text = "\n".join(("Sentence #,Word,POS,Tag", *rows)) + "\n"
    path.write_bytes(text.encode("cp1252"))
    return str(path)


def test_a_word_per_row(tmp_path):
    """As published: cp1252, and the number of a sentence on its first row."""
    path = _csv(tmp_path, "Sentence: 1,caf\u00e9,N,B-geo", ',"""",X,O', "Sentence: 2,b,N,O")
    found = read_annotations(DataSource(path, encoding="cp1252")).sentences
    assert [one.words for one in found] == [["caf\u00e9", '"'], ["b"]]
    assert [one.tags for one in found] == [["B-geo", "O"], ["O"]]
    with pytest.raises(UserError, match="ner.csv:2: byte 0xe9 .* encoding=cp1252"):
        read_annotations(DataSource(path))
    # Others repeat the number on each row.
    path = _csv(tmp_path, "1,a,N,O", "1,b,N,O", "2,c,N,O")
    assert [one.words for one in read_annotations(DataSource(path)).sentences] == [
        ["a", "b"],
        ["c"],
    ]


def test_sentences_with_rows_that_cannot_be_used_are_left_out_whole(tmp_path):
    rows = ("S 1,a,N,O", ",b,N,O", "S 2,c,N,O", ",,N,O", "S 3,d,N,O", ",e", "S 4,f,N,O")
    path, bad_rows = _csv(tmp_path, *rows), BadRows(skip=True)
    with pytest.raises(UserError, match=r"ner.csv:7: received 2 field\(s\), expected 4"):
        read_annotations(DataSource(path))
    found = read_annotations(DataSource(path, bad_rows=bad_rows)).sentences
    assert [one.words for one in found] == [["a", "b"], ["f"]]
    assert [(row.where.rpartition(":")[2], row.reason) for row in bad_rows.skipped] == [
        ("7", "received 2 field(s), expected 4 (Sentence #, Word, POS, Tag)"),
        ("5", "has no word or no tag, expected both"),
        ("6", "is the beginning of a sentence with a row that cannot be read"),
    ]


@pytest.mark.parametrize("name", ["doccano.jsonl", "labelstudio.json", "kaggle.csv"])
def test_the_reader_of_tagged_sentences_names_the_converter(assets, name):
    path = str(assets / "cases" / "files" / name)
    with pytest.raises(UserError, match=f"bert-keras convert --to=tagged_sentences --from={path}"):
        read_tagged(DataSource(path))
    if name == "doccano.jsonl":
        # Its texts can be read without their spans.
        assert read_tagged(DataSource(path), labelled=False).texts == [*map(" ".join, WORDS)] * 6
        return
    with pytest.raises(UserError, match="bert-keras convert --to=tagged_sentences"):
        read_tagged(DataSource(path), labelled=False)


def test_other_tables_are_no_annotations(read):
    with pytest.raises(UserError, match="a.jsonl:1: holds no annotations that are known; the col"):
        read({"text": "a", "label": "pos"})
