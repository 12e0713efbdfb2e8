"""Files of annotation tools: each form's spans as tags of words, by value."""

from __future__ import annotations

import json
import pathlib
import random
from typing import Any

import pytest

from bert_keras.data.annotation_forms import annotation_tool
from bert_keras.data.annotations import read_annotations
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.examples import Examples, read_kind
from bert_keras.data.source import DataSource
from bert_keras.data.span_tags import Span, basic_words, tag_words
from bert_keras.data.tagged_sentences import read_tagged
from bert_keras.data.text_words import split_words
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer
from tests.commands.mutations import fresh_copy, mutate

_EMOJI = "\U0001f600"  # one code point, two UTF-16 units


def _read(path: pathlib.Path, rows: Any, **options: Any) -> list[tuple[list[str], list[str]]]:
    """Writes rows, as JSON lines for a list, and returns words and tags of each."""
    if not isinstance(rows, (str, bytes)):
        rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    found = read_annotations(DataSource(str(path), **options)).sentences
    assert found.words is not None and found.tags is not None
    return list(zip(found.words, found.tags, strict=True))


def _task(text: str, spans: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
    result = [{"type": "labels", "value": span} for span in spans]
    return {"data": {"text": text}, "annotations": [{"result": result}], **others}


def _span(start: int, end: int, label: str, text: str | None = None) -> dict[str, Any]:
    stated = {} if text is None else {"text": text}
    return {"start": start, "end": end, "labels": [label], **stated}


# Words.


def test_words_are_those_of_the_tokenizer() -> None:
    texts = [
        "Don't stop: e-mail me@x.org!",
        "北京is 大",
        "tab\tline\nbreak\u3000wide\u00a0space",
        f"{_EMOJI}smile a\u200bb \u200b c\u00e9 e\u0301a \ufe0f \ufffd",
        "",
    ]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abc!.'北"]
    placed = split_words(BertTokenizer(vocabulary), texts)
    for text, words in zip(texts, placed, strict=True):
        assert [text[start:end] for start, end in basic_words(text)] == words.words


def test_a_span_border_divides_a_word() -> None:
    found = tag_words("unhappy people", [Span(2, 7, "adj"), Span(8, 11, "x")])
    assert found.words == ["un", "happy", "peo", "ple"]
    assert found.tags == ["O", "B-adj", "B-x", "O"]
    assert found.divided == 2


def test_spans_lose_the_white_space_around_them_and_repetitions() -> None:
    found = tag_words("in New York now", [Span(2, 12, "LOC"), Span(3, 11, "LOC")])
    assert found.tags == ["O", "B-LOC", "I-LOC", "O"]


def test_neighbouring_spans_stay_apart() -> None:
    assert tag_words("北京上海", [Span(2, 4, "x"), Span(0, 2, "x")]).tags == ["B-x", "I-x"] * 2


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 3, "a"), (1, 5, "b")], r"spans 'abc' \(0 to 3, a\) and 'bc d' \(1 to 5, b\) overlap"),
        ([(0, 5, "a"), (4, 5, "b")], "overlap"),
        ([(0, 3, "a"), (0, 3, "b")], "overlap"),
        ([(4, 9, "a")], r"span 4 to 9 \(a\) is not inside of the text's 7 characters"),
        ([(2, 2, "a")], r"span 2 to 2 \(a\) is not inside"),
        ([(3, 4, "a")], "is white space"),
        ([(6, 7, "a")], "holds no word"),
    ],
)
def test_spans_that_cannot_be_tags(spans: list[tuple[int, int, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tag_words("abc de\u200b"[:3] + " d \u200b", [Span(*span) for span in spans])


# CLUENER.


def test_cluener(tmp_path: pathlib.Path) -> None:
    rows = [
        {
            "text": "浙商银行的叶老桂",
            "label": {"name": {"叶老桂": [[5, 7]]}, "company": {"浙商银行": [[0, 3]]}},
        },
        {"text": "天 气", "label": {}},
    ]
    assert _read(tmp_path / "a.json", rows) == [
        (
            list("浙商银行的叶老桂"),
            ["B-company", *["I-company"] * 3, "O", "B-name", *["I-name"] * 2],
        ),
        (["天", "气"], ["O", "O"]),
    ]


def test_cluener_ends_are_inclusive(tmp_path: pathlib.Path) -> None:
    rows = [{"text": "叶老桂说", "label": {"name": {"叶老桂": [[0, 3]]}}}]
    with pytest.raises(UserError) as caught:
        _read(tmp_path / "a.json", rows)
    assert str(caught.value) == (
        f"{tmp_path}/a.json:1: characters 0 to 3 are '叶老桂说', expected '叶老桂' (end is the "
        "last character, not the one after it)"
    )


# doccano.


def test_doccano(tmp_path: pathlib.Path) -> None:
    text = f"{_EMOJI} Ada in Paris."
    expected = [([_EMOJI, "Ada", "in", "Paris", "."], ["O", "B-PER", "O", "B-LOC", "O"])]
    triples = [[2, 5, "PER"], [9, 15 - 1, "LOC"]]
    objects = [
        {"id": 1, "start_offset": start, "end_offset": end, "label": name}
        for start, end, name in triples
    ]
    for name, spans in (("label", triples), ("labels", triples), ("entities", objects)):
        row = {"id": 7, "text": text, name: spans, "relations": [], "Comments": []}
        assert _read(tmp_path / "a.jsonl", [row]) == expected
    assert _read(tmp_path / "a.jsonl", [{"data": text, "label": triples}]) == expected
    assert _read(tmp_path / "a.json", json.dumps([{"text": text, "entities": triples}])) == expected
    # A text without spans is one without entities.
    empty = _read(
        tmp_path / "a.jsonl", [{"text": "a", "label": []}, {"text": text, "label": triples}]
    )
    assert empty == [(["a"], ["O"]), *expected]


def test_bad_rows_of_doccano(tmp_path: pathlib.Path) -> None:
    rows = [
        {"text": "Ada slept", "label": [[0, 3, "PER"]]},
        {"text": "Bob", "label": [[0, 9, "PER"]]},
        {"text": "Bob", "label": [[0, 3, 7]]},
        {"text": "Bob"},
        {"text": None, "label": []},
        {"id": 5, "text": "Bob", "label": [["0", 3, "PER"]]},
        {"text": "   ", "label": []},
    ]
    with pytest.raises(UserError, match=r"a.jsonl:2: span 0 to 9 \(PER\) is not inside of the"):
        _read(tmp_path / "a.jsonl", rows)
    bad_rows = BadRows(skip=True)
    assert len(_read(tmp_path / "a.jsonl", rows, bad_rows=bad_rows)) == 1
    assert [row.where.rpartition(":")[2] for row in bad_rows.skipped] == list("234567")
    reasons = [row.reason for row in bad_rows.skipped]
    assert "expected its name: export as JSONL with text labels" in reasons[1]
    assert reasons[2:] == [
        "column 'label' holds null, expected a list of spans",
        "column 'text' holds null, expected a text",
        'id 5: span ["0", 3, "PER"], expected [start, end, type]',
        "text '   ' has no words",
    ]


def test_no_row_is_left(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="has no rows that can be used"):
        rows = [{"text": "Bob", "label": [[0, 9, "PER"]]}]
        _read(tmp_path / "a.jsonl", rows, bad_rows=BadRows(skip=True))


# Label Studio.


def _one(path: pathlib.Path, task: dict[str, Any]) -> list[str]:
    [(words, tags)] = _read(path / "a.json", json.dumps([task]))
    return [f"{word}/{tag}" for word, tag in zip(words, tags, strict=True) if tag != "O"]


@pytest.mark.parametrize(
    ("text", "span", "moved"),
    [
        # UTF-16 units, as browsers count, and code points, as Python does.
        (f"{_EMOJI}{_EMOJI} in Rome", _span(8, 12, "LOC", "Rome"), 0),
        (f"{_EMOJI}{_EMOJI} in Rome", _span(6, 10, "LOC", "Rome"), 0),
        # Offsets that white space or escapes have moved.
        ("Rome is in Rome", _span(12, 16, "LOC", "Rome"), 1),
        ("he is in Rome", _span(8, 13, "LOC", "Rome "), 0),
    ],
)
def test_offsets_of_label_studio(
    tmp_path: pathlib.Path, text: str, span: dict[str, Any], moved: int
) -> None:
    (tmp_path / "a.json").write_text(json.dumps([_task(text, [span])]))
    found = read_annotations(DataSource(str(tmp_path / "a.json")))
    assert found.sentences.words and found.sentences.words[0][-1] == "Rome"
    assert found.sentences.tags == [["O"] * (len(found.sentences.words[0]) - 1) + ["B-LOC"]]
    assert found.moved == moved


def test_stated_text_of_label_studio_may_differ_in_white_space(tmp_path: pathlib.Path) -> None:
    task = _task("to Rome,  Italy", [_span(3, 15, "LOC", "Rome, Italy")])
    assert _one(tmp_path, task) == ["Rome/B-LOC", ",/I-LOC", "Italy/I-LOC"]
    task = _task("to New\nYork", [_span(3, 11, "LOC", "New\\nYork")])
    assert _one(tmp_path, task) == ["New/B-LOC", "York/I-LOC"]


def test_the_first_annotation_that_was_not_canceled(tmp_path: pathlib.Path) -> None:
    task = _task("Ada", [_span(0, 3, "PER", "Ada")])
    canceled = {"was_cancelled": True, "result": [{"type": "labels", "value": _span(0, 1, "X")}]}
    later = {"result": [{"type": "labels", "value": _span(0, 3, "Y")}]}
    task["annotations"] = [canceled, *task["annotations"], later]
    assert _one(tmp_path, task) == ["Ada/B-PER"]
    task["annotations"][1]["result"] += [
        {"type": "relation", "from_id": "a", "to_id": "b"},
        {"type": "choices", "value": {"choices": ["good"]}},
    ]
    assert _one(tmp_path, task) == ["Ada/B-PER"]
    task["completions"] = task.pop("annotations")
    assert _one(tmp_path, task) == ["Ada/B-PER"]
    task["data"] = {"body": "Ada", "number": 3}
    assert _one(tmp_path, task) == ["Ada/B-PER"]


def test_the_short_export_of_label_studio(tmp_path: pathlib.Path) -> None:
    rows = [{"id": 1, "text": "so Ada", "label": [_span(3, 6, "PER", "Ada")]}, {"text": "so"}]
    found = _read(tmp_path / "a.json", json.dumps(rows))
    assert found == [(["so", "Ada"], ["O", "B-PER"]), (["so"], ["O"])]
    # The keys are those of the labeling configuration; there may be several.
    rows[0]["ner"], rows[0]["place"] = rows[0].pop("label"), [_span(0, 2, "LOC", "so")]
    assert _read(tmp_path / "a.json", json.dumps(rows))[0][1] == ["B-LOC", "B-PER"]
    rows.append({"text": "so", "ner": [{"start": 0, "labels": ["LOC"]}]})
    with pytest.raises(UserError, match="expected a number of characters in 'end'"):
        _read(tmp_path / "a.json", json.dumps(rows))
    rows[0]["place"] = [_span(3, 5, "LOC", "Ad")]
    with pytest.raises(UserError, match="id 1: spans 'Ad' .* overlap"):
        _read(tmp_path / "a.json", json.dumps(rows))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            _task("Ada", [_span(0, 3, "PER", "Bob")], id=3),
            "id 3: span 0 to 3 is 'Ada', and 'Bob', its",
        ),
        (_task("Ada Ada", [_span(2, 5, "PER", "Ada")]), "as near before as behind it"),
        (_task("Ada", [_span(0, 30, "PER")]), "span 0 to 30 is not inside of the text's 3"),
        (_task(f"{_EMOJI} Ada", [_span(2, 5, "PER")]), "what its offsets count is unknown"),
        (_task("Ada", [{**_span(0, 3, "A"), "labels": ["A", "B"]}]), "has labels .* expected one"),
        (_task("Ada", [{**_span(0, 3, "A"), "start": "/p[1]"}]), "a number of characters in 'sta"),
        ({**_task("Ada", []), "annotations": []}, "task has no annotation that was not canceled"),
        ({**_task("", []), "data": {"a": "x", "b": "y"}}, "task has the texts a, b, expected one"),
    ],
)
def test_bad_tasks(tmp_path: pathlib.Path, task: dict[str, Any], message: str) -> None:
    good = _task("Ada", [_span(0, 3, "PER", "Ada")])
    bad_rows = BadRows(skip=True)
    content = json.dumps([good, task])
    assert len(_read(tmp_path / "a.json", content, bad_rows=bad_rows)) == 1
    with pytest.raises(UserError, match=f"a.json:1: .*{message}"):
        _read(tmp_path / "a.json", content)


# Kaggle.

_KAGGLE = """Sentence #,Word,POS,Tag
Sentence: 1,Ada,NNP,B-per
,said,VBD,O
,\"\"\"\",``,O
Sentence: 2,caf\u00e9,NN,O
"""


def test_kaggle(tmp_path: pathlib.Path) -> None:
    expected = [(["Ada", "said", '"'], ["B-per", "O", "O"]), (["caf\u00e9"], ["O"])]
    encoded = _KAGGLE.encode("cp1252")
    assert _read(tmp_path / "a.csv", encoded, encoding="cp1252") == expected
    with pytest.raises(UserError, match=r"a.csv:5: byte 0xe9 .* give .* encoding=cp1252"):
        _read(tmp_path / "a.csv", encoded)
    # Every row named, as after a fill in pandas, with its index in front.
    lines = ["", "Sentence: 1", "Sentence: 1", "Sentence: 1", "Sentence: 2"]
    rows = _KAGGLE.splitlines()
    filled = [
        f"{i},{mark or ''}{row[row.index(',') :]}"
        for i, (mark, row) in enumerate(zip(lines, rows, strict=True))
    ]
    filled[0] = "," + rows[0]
    assert _read(tmp_path / "a.csv", "\n".join(filled)) == expected


def test_a_bad_word_spoils_its_sentence(tmp_path: pathlib.Path) -> None:
    content = _KAGGLE.replace(",said,", ",,")
    with pytest.raises(UserError, match="a.csv:3: word or tag is empty, expected both; its sent"):
        _read(tmp_path / "a.csv", content)
    bad_rows = BadRows(skip=True)
    assert _read(tmp_path / "a.csv", content, bad_rows=bad_rows) == [(["caf\u00e9"], ["O"])]
    assert len(bad_rows.skipped) == 1 and len(bad_rows.skipped[0].row) == 3
    # A row that is cut short may be the first of a sentence: the next words would be the last's.
    with pytest.raises(UserError, match="a.csv:5: received 2 field.* the row may begin a sentence"):
        _read(tmp_path / "a.csv", _KAGGLE.replace(",NN,O", ""), bad_rows=BadRows(skip=True))
    with pytest.raises(UserError, match="a.csv:2: the first row names no sentence"):
        _read(tmp_path / "a.csv", _KAGGLE.replace("Sentence: 1", ""))


# Which form, and files that are none.


@pytest.mark.parametrize(
    ("row", "tool"),
    [
        ({"text": "a", "label": {"x": {"a": [[0, 0]]}}}, "CLUENER"),
        ({"text": "a", "label": [[0, 1, "x"]]}, "doccano"),
        (
            {"text": "a", "entities": [{"start_offset": 0, "end_offset": 1, "label": "x"}]},
            "doccano",
        ),
        ({"data": {"text": "a"}, "annotations": []}, "Label Studio"),
        ({"text": "a", "label": [{"start": 0, "end": 1, "labels": ["x"]}]}, "Label Studio"),
        ({"Sentence #": "1", "Word": "a", "POS": "b", "Tag": "O"}, "Kaggle"),
        ({"text": "a", "label": "x"}, None),
        ({"text": "a", "label": ["x", "y", "z"]}, None),
        ({"text": "a", "labels": [0, 1, 2]}, None),
        ({"words": ["a"], "tags": ["O"]}, None),
        ({"data": {"text": "a"}, "label": "x"}, None),
        ({"data": {"text": "a"}, "annotations": [{"label": "x"}]}, None),
    ],
)
def test_annotation_tool(row: dict[str, Any], tool: str | None) -> None:
    assert annotation_tool(list(row), list(row.values())) == tool


def test_other_files_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        UserError, match=r"a.csv:1: no annotations in a known form; the columns are"
    ):
        _read(tmp_path / "a.csv", "text,label\nfine,pos\n")


@pytest.mark.parametrize(
    ("name", "content", "tool"),
    [
        ("a.json", '{"text": "a", "label": {"x": {"a": [[0, 0]]}}}\n', "CLUENER"),
        ("a.jsonl", '{"text": "a", "label": [[0, 1, "x"]]}\n', "doccano"),
        ("a.json", json.dumps([_task("a", [])]), "Label Studio"),
        ("a.csv", _KAGGLE, "Kaggle"),
    ],
)
def test_readers_name_the_converter(
    tmp_path: pathlib.Path, name: str, content: str, tool: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    source = DataSource(str(path))
    expected = (
        f"; these are annotations in {tool}'s form: bert-keras convert --from={path} "
        "--to=tagged_sentences --output=FILE.jsonl writes words and tags"
    )
    for read in (read_tagged, lambda source: read_kind(Examples, source)):
        with pytest.raises(UserError) as caught:
            read(source)
        assert str(caught.value).endswith(expected) and "\n" not in str(caught.value)


# Real and damaged files.


@pytest.mark.parametrize("name", ["doccano.jsonl", "labelstudio.json", "kaggle.csv"])
def test_case_files(assets: pathlib.Path, name: str) -> None:
    path = assets / "cases" / "files" / name
    if not path.exists():
        pytest.skip("cases/files is not among the assets of BERT_KERAS_ASSETS")
    found = read_annotations(DataSource(str(path))).sentences
    assert (
        found.words
        == [
            ["Ada", "Lovelace", "lived", "in", "London"],
            ["Paris", "is", "big"],
            ["Bob", "slept"],
        ]
        * 6
    )
    assert (
        found.tags
        == [
            ["B-PER", "I-PER", "O", "O", "B-LOC"],
            ["B-LOC", "O", "O"],
            ["B-PER", "O"],
        ]
        * 6
    )


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "a.json",
            json.dumps({"text": "叶老桂说", "label": {"name": {"叶老桂": [[0, 2]]}}}) + "\n",
        ),
        ("a.jsonl", json.dumps({"text": "Ada in", "label": [[0, 3, "PER"]]}) + "\n"),
        (
            "b.jsonl",
            json.dumps(
                {"text": "Ada", "entities": [{"start_offset": 0, "end_offset": 3, "label": "PER"}]}
            )
            + "\n",
        ),
        ("b.json", json.dumps([_task("Ada in", [_span(0, 3, "PER", "Ada")])] * 2)),
        ("a.csv", _KAGGLE),
    ],
)
def test_damaged_files(tmp_path: pathlib.Path, name: str, content: str, skip: bool) -> None:
    good = tmp_path / name
    good.write_text(content * (3 if name.endswith("l") else 1))
    chance = random.Random(0)
    for _ in range(40):
        path = fresh_copy(good, tmp_path / "damaged" / name)
        mutate(path, chance)
        try:
            found = read_annotations(DataSource(str(path), bad_rows=BadRows(skip=skip))).sentences
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert found.words and found.tags
            assert list(map(len, found.words)) == list(map(len, found.tags))
