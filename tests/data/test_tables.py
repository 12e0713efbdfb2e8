"""The table formats: what is a field, a row, and the line on which it starts."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data import tables
from bert_keras.data.delimited import read_csv, read_tsv
from bert_keras.data.examples import Examples, read_kind
from bert_keras.data.json_tables import read_json
from bert_keras.data.labelled_kinds import ScoredExamples
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

F = DataSource("f")


def test_tsv_takes_quotes_literally() -> None:
    table = read_tsv(F, ["label\ttext", '1\tHe said "no', '0\t"yes" he said', "1\t"])
    assert table.columns == ["label", "text"]
    assert [list(row) for row in table.rows] == [
        ["1", 'He said "no'],
        ["0", '"yes" he said'],
        ["1", ""],
    ]
    assert table.lines == [2, 3, 4]


def test_rows_of_qqp_that_are_cut_short_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    rows = ["1\t1\t2\tWho?\tWhat?\t0", "2\t3\tWho", "is it?", "3\t4\t5\tA?\tB?\t1"]
    with caplog.at_level("WARNING", logger="absl"):
        table = read_tsv(DataSource("qqp.tsv"), [header, *rows])
    assert (table.lines, [row[5] for row in table.rows]) == ([2, 5], ["0", "1"])
    assert [record.getMessage() for record in caplog.records] == [
        "qqp.tsv:3: left out this row and 1 more, which have fewer than 6 fields"
    ]
    with pytest.raises(UserError, match=r"qqp\.tsv:2: received 7 field"):
        read_tsv(DataSource("qqp.tsv"), [header, rows[0] + "\tmore"])
    with pytest.raises(UserError, match=r"f:2: received 1 field"):
        read_tsv(F, ["text\tlabel", "cut"])


def test_cola_has_no_header() -> None:
    table = read_tsv(F, ["gj04\t1\t\tThe car ran.", "gj04\t0\t*\tCar the ran."])
    assert table.columns == ["source", "label", "original_label", "sentence"]
    assert [row[3] for row in table.rows] == ["The car ran.", "Car the ran."]
    assert table.lines == [1, 2]


def test_csv_fields_hold_commas_quotes_and_lines() -> None:
    lines = ["text,label", '"one, two",a', '"say ""so""', 'and more",b', "plain,c"]
    table = read_csv(F, lines)
    assert table.rows == [["one, two", "a"], ['say "so"\nand more', "b"], ["plain", "c"]]
    assert table.lines == [2, 3, 5]


def test_csv_takes_long_fields() -> None:
    long = "x" * 200_000
    assert read_csv(F, ["text,label", f"{long},1"]).rows == [[long, "1"]]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from('ab ,"\n\tß'), max_size=6)] * 2),
        min_size=1,
        max_size=5,
    )
)
def test_csv_round_trip(rows: list[tuple[str, str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("t", "l"), *rows])
    table = read_csv(F, stream.getvalue().removesuffix("\n").split("\n"))
    assert [tuple(row) for row in table.rows] == rows
    before = [sum(field.count("\n") for row in rows[:i] for field in row) for i in range(len(rows))]
    assert table.lines == [2 + i + count for i, count in enumerate(before)]


def test_jsonl_columns_are_the_keys_of_all_lines() -> None:
    table = read_json(
        F,
        ['{"text": "a", "label": 1}', '{"label": 2, "text": "b", "id": 7}', '{"text": "c"}'],
    )
    assert table.columns == ["text", "label", "id"]
    absent = tables.MISSING
    assert table.rows == [["a", 1, absent], ["b", 2, 7], ["c", absent, absent]]
    assert table.lines == [1, 2, 3]


@pytest.mark.parametrize("reader", [read_tsv, read_csv])
def test_header_without_rows(reader: object) -> None:
    with pytest.raises(UserError, match="^f: the file has a header and no rows; .* are text$"):
        reader(F, ["text"])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("reader", "lines", "message"),
    [
        ("tsv", ["a\tb", "1\t2", "3"], r"^f:3: received 1 field\(s\), expected 2 \(a, b\)$"),
        ("tsv", ["a\tb", "1\t2\t3"], r"^f:2: received 3 field\(s\), expected 2 \(a, b\)$"),
        ("csv", ["a,b", '"x', 'y",1', "z"], r"^f:4: received 1 field\(s\), expected 2"),
        ("csv", ["a,b", "x,1", '"never closed,2', "more"], "^f:3: unexpected end of data"),
        ("csv", ["\rtext", "x"], "^f:1: new-line character seen in unquoted field"),
        ("csv", ["a,b", '"x"y,2'], "^f:2: .* expected separated values"),
        ("jsonl", ['{"a": 1}', "{'a': 1}"], r"^f:2: not JSON at character 2 \("),
        ("jsonl", ["[1, 2]"], r"^f:1: received the JSON value 1, expected an object"),
        ("jsonl", ['{"a": 1}', "[1, 2]"], r"^f:2: received the JSON value \[1, 2\], expected an"),
        ("jsonl", ['[{"a": 1}', '{"a": 2}]'], r"^f:2: not JSON, expected a comma or \]$"),
        ("jsonl", ['[{"a": 1}]', "{}"], "^f:2: not JSON, expected the end of the file$"),
        ("jsonl", ["[" * 100_000], "^f:1: not JSON"),
    ],
)
def test_broken_rows(reader: str, lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        {"tsv": read_tsv, "csv": read_csv, "jsonl": read_json}[reader](F, lines)


def test_messages_stay_short() -> None:
    with pytest.raises(UserError) as caught:
        read_tsv(F, ["a sentence " * 50 + "\t1", "another"])
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)
    assert tables.shorten("a\nb") == r"'a\nb'"
    assert json.loads(tables.as_json({"ä": 1})) == {"ä": 1}


_MORE_FORMS = [
    # What pandas writes: enclosed only where needed, or everywhere.
    (read_tsv, ["text\tlabel", '"a ""b"" c"\t1', "d\t0"], [['a "b" c', "1"], ["d", "0"]]),
    (read_tsv, ['"text"\t"label"', '"a"\t"1"'], [["a", "1"]]),
    (read_tsv, ["text\tlabel", '"a', 'b"\t1', "c\t0"], [["a\nb", "1"], ["c", "0"]]),
    (read_tsv, ["text\tlabel", '"a\tb"\t1', "c\t0"], [["a\tb", "1"], ["c", "0"]]),
    # What GLUE's files have: quotation marks that pair up by chance, or not at all.
    (read_tsv, ["text\tlabel", '"a"\t1', "c\t0"], [['"a"', "1"], ["c", "0"]]),
    (read_tsv, ["text\tlabel", '"a ""b""\t1', "c\t0"], [['"a ""b""', "1"], ["c", "0"]]),
    (read_tsv, ["text\tlabel", '"a\t1', 'b"\t0'], [['"a', "1"], ['b"', "0"]]),
    (read_csv, ["text;label", "a, b;1"], [["a, b", "1"]]),
    (read_csv, ["text\tlabel", "a, b\t1"], [["a, b", "1"]]),
    (read_csv, ["text, label", '"a, b", "1"'], [["a, b", "1"]]),
    (read_csv, ["text,label", "", "a,1", "  ", "b,0", ",,"], [["a", "1"], ["b", "0"], ["", ""]]),
    (read_tsv, ["text\tlabel", "", "a\t1", " \t", "b\t0\t\t"], [["a", "1"], ["b", "0"]]),
    (read_json, ['{"data": [{"a": 1},', ' {"a": 2}]}'], [[1], [2]]),
    (read_json, ["[", '{"a": 1},', '{"a": NaN, "b": 2}', "]"], None),
    (read_json, ['{"a": {"b": [1]}}'], [[{"b": [1]}]]),
]


@pytest.mark.parametrize(("reader", "lines", "rows"), _MORE_FORMS)
def test_forms_of_tables(reader: Any, lines: list[str], rows: list[list[Any]] | None) -> None:
    table = reader(F, lines)
    if rows is None:
        assert table.columns == ["a", "b"] and table.lines == [2, 3]
        assert table.rows[0] == [1, tables.MISSING] and table.rows[1][1] == 2
    else:
        assert [list(row) for row in table.rows] == rows


def test_quotes_are_what_the_source_says(caplog: pytest.LogCaptureFixture) -> None:
    lines = ["text\tlabel", '"a"\t1', "c\t0"]
    with caplog.at_level("WARNING", logger="absl"):
        assert read_tsv(F, lines).rows[0][0] == '"a"'
    assert "quotation marks enclose 1 fields and are taken as part of the text" in caplog.text
    assert list(read_tsv(DataSource("f", quotes="csv"), lines).rows[0]) == ["a", "1"]
    literal = read_csv(DataSource("f", quotes="none"), ["text,label", '"a" b,1', 'it"s,0'])
    assert [row[0] for row in literal.rows] == ['"a" b', 'it"s']
    with pytest.raises(UserError, match="^quotes=both: expected one of auto, csv, none$"):
        read_tsv(DataSource("f", quotes="both"), lines)


@pytest.mark.parametrize(
    ("lines", "columns", "texts"),
    [
        # Numbers alone mean no header, unless the first line has known names there.
        (["a,x", "b,y"], ("1", None, "2"), ["a", "b"]),
        (["text,label", "b,y"], ("1", None, "2"), ["b"]),
        (["body,label", "b,y"], ("1", None, "label"), ["b"]),
        (["2,1", "b,y"], ("2", None, "1"), ["b"]),
        (["text,label,text", "a,x,b"], ("3", None, "2"), ["b"]),
    ],
)
def test_columns_by_number(
    tmp_path: Any, lines: list[str], columns: tuple[str, None, str], texts: list[str]
) -> None:
    path = tmp_path / "f.csv"
    path.write_text("\n".join(lines) + "\n")
    assert read_kind(Examples, DataSource(str(path), *columns)).texts == texts
    with pytest.raises(UserError, match=r"f.csv:1: has \d column\(s\), expected one of their"):
        read_kind(Examples, DataSource(str(path), "9", None, "1"))


def test_sick_is_a_table_called_txt(tmp_path: Any) -> None:
    path = tmp_path / "SICK_train.txt"
    head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
    path.write_text(head + "1\tA cat sleeps\tA cat is asleep\t4.5\tENTAILMENT\n")
    found = read_kind(ScoredExamples, DataSource(str(path), label_column="relatedness_score"))
    assert (found.texts, found.pairs, found.labels) == (
        ["A cat sleeps"],
        ["A cat is asleep"],
        [4.5],
    )
    assert read_kind(Examples, DataSource(str(path)), labelled=False).pairs == ["A cat is asleep"]
