"""Readers of multiple choice: SWAG's columns, CODAH's files, JSON lines, and what they refuse."""

from __future__ import annotations

import json

import pytest

from bert_keras.data.choices import examples_of_choices, read_choices
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

SWAG = (
    ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label\n"
    '7,v1,1,x,"She opens the door, slowly.",She,gold,walks in.,is a lamp.,"eats, it.",flies.,2\n'
)
CODAH = "o\tIt rained. He\ttook an umbrella.\tate it.\twas a fish.\tsang.\t0\n" + (
    '\tA "quote" is\tone.\ttwo.\tthree.\tfour.\t3\n'
)


def _write(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return DataSource(str(path))


def test_swag(tmp_path):
    found = read_choices(_write(tmp_path, "swag.csv", SWAG))
    assert found.contexts == ["She opens the door, slowly."]
    assert found.choices == [
        ["She walks in.", "She is a lamp.", "She eats, it.", "She flies."],
    ]
    assert found.labels == [2] and found.where(0).endswith("swag.csv:2")
    unlabelled = read_choices(_write(tmp_path, "swag.csv", SWAG), labelled=False)
    assert unlabelled.labels is None and "label" not in unlabelled.row(0)


def test_codah_has_no_header(tmp_path):
    found = read_choices(_write(tmp_path, "codah.tsv", CODAH))
    assert found.contexts == ["It rained. He", 'A "quote" is']
    assert found.labels == [0, 3] and found.lines == [1, 2]
    assert found.row(1)["choices"] == ["one.", "two.", "three.", "four."]
    assert found.part(1, 2).row(0) == found.row(1) and len(found.part(1, 2)) == 1


def test_json_lines_may_differ_in_their_number_of_choices(tmp_path):
    rows = [
        {"context": "a", "choices": ["b", "c"], "label": 1},
        {"context": "d", "choices": ["e", "f", "g"], "label": "2"},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    found = read_choices(_write(tmp_path, "x.jsonl", content))
    assert found.choices == [["b", "c"], ["e", "f", "g"]] and found.labels == [1, 2]


def test_columns_of_any_names_and_last_empty_ones(tmp_path):
    content = "q\tbegin\tchoice_1\tchoice_2\tchoice_3\tgold\nWhy?\tAs\tone\ttwo\t\t1\n"
    source = _write(tmp_path, "x.tsv", content)
    named = DataSource(source.spec, text_column="q", pair_column="begin", label_column="gold")
    found = read_choices(named)
    assert found.contexts == ["Why?"] and found.choices == [["As one", "As two"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("context\tchoice0\tchoice1\tlabel\na\tb\tc\t2\n", "x.tsv:2: label 2 is not the number"),
        ("context\tchoice0\tchoice1\tlabel\na\tb\tc\t-1\n", "x.tsv:2: column 'label' holds '-1'"),
        ("context\tchoice0\tchoice1\tlabel\na\tb\tc\t\n", "x.tsv:2: column 'label' is empty"),
        ("context\tchoice0\tchoice1\tlabel\na\tb\t\t0\n", "x.tsv:2: received 1 choice"),
        ("context\tchoice0\tchoice1\tlabel\na\t\tc\t1\n", "x.tsv:2: choice 0 is empty"),
        ("context\tchoice0\tlabel\na\tb\t0\n", "expected choices, or ending0"),
        ("context\tchoice0\tchoice2\tlabel\na\tb\tc\t0\n", "expected choices, or ending0"),
        ("text\tchoice0\tchoice1\tlabel\na\tb\tc\t0\n", "expected context, question, sent1"),
        ("context\tchoice0\tchoice1\na\tb\tc\n", "expected label, or label_column"),
        (CODAH + "o\ta\tb\tc\td\te\t4\n", "x.tsv:3: label 4 is not the number"),
        (CODAH + "o\ta\tb\tc\td\t1\n", "x.tsv:3: received 6 field"),
    ],
)
def test_what_is_wrong_has_file_and_line(tmp_path, content, message):
    with pytest.raises(UserError) as error:
        read_choices(_write(tmp_path, "x.tsv", content))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"context": "a", "choices": ["b", "c"], "label": 2}, ":2: label 2"),
        ({"context": "a", "choices": ["b"], "label": 0}, ":2: received 1 choice"),
        ({"context": "a", "choices": "bc", "label": 0}, "expected a list of texts"),
        ({"context": "a", "choices": ["b", [3]], "label": 0}, "expected a text"),
        ({"context": "a", "choices": ["", "b"], "label": 1}, "an empty text as choice 0"),
        ({"context": "a", "choices": ["b", "c"]}, ":2: column 'label' is missing"),
        ({"context": "a", "choices": ["b", "c"], "label": 0.5}, "expected the number of a choice"),
    ],
)
def test_a_wrong_json_line(tmp_path, row, message):
    good = {"context": "a", "choices": ["b", "c"], "label": 0}
    content = json.dumps(good) + "\n" + json.dumps(row) + "\n"
    with pytest.raises(UserError) as error:
        read_choices(_write(tmp_path, "x.jsonl", content))
    assert message in str(error.value) and "x.jsonl:2" in str(error.value)


def test_examples_made_in_memory():
    found = examples_of_choices(["a", "b"], [["x", "y", ""], ("x", "y")], [1, 0])
    assert found.choices == [["x", "y"], ["x", "y"]]
    with pytest.raises(ValueError, match="differ in number"):
        examples_of_choices(["a"], [["x", "y"]], [1, 0])
    with pytest.raises(UserError, match="the inputs:1: label 2"):
        examples_of_choices(["a"], [["x", "y", ""]], [2])
