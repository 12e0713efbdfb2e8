"""Examples of files: values, labels of every kind, and the message for each bad row."""

from __future__ import annotations

import gzip
import io
import json
import pathlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.examples import Examples, read_examples
from bert_keras.errors import UserError


def _read(folder: pathlib.Path, name: str, content: str, **options: object) -> Examples:
    path = folder / name
    path.write_bytes(content.encode())
    return read_examples(path, **options)  # type: ignore[arg-type]


def test_the_three_formats_agree(tmp_path: pathlib.Path) -> None:
    rows = [("a b", "c", "x"), ("d", "", "y")]
    tsv = "text\ttext_pair\tlabel\r\n" + "".join("\t".join(row) + "\r\n" for row in rows)
    csv = "\ufefftext,text_pair,label\n" + "".join(",".join(row) + "\n" for row in rows)
    jsonl = "".join(
        json.dumps(dict(zip(("text", "text_pair", "label"), row, strict=True))) + "\n"
        for row in rows
    )
    files = {"a.tsv": tsv, "a.csv": csv, "a.jsonl": jsonl, "a.json": jsonl, "a.TSV": tsv}
    for name, content in files.items():
        examples = _read(tmp_path, name, content)
        assert len(examples) == 2
        assert examples.texts == ["a b", "d"]
        assert examples.pairs == ["c", ""]
        assert examples.labels == ["x", "y"]
        first = 1 if ".json" in name else 2
        assert examples.lines == [first, first + 1]
        assert examples.where(1) == f"{tmp_path / name}:{first + 1}"


def test_mrpc_quotes_are_text(tmp_path: pathlib.Path) -> None:
    content = 'Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tSaid "so\t"Said so\n'
    examples = _read(tmp_path, "train.tsv", content)
    assert (examples.texts, examples.pairs) == (['Said "so'], ['"Said so'])
    assert examples.labels == ["1"]


def test_real_glue_files(data: pathlib.Path) -> None:
    sst2 = read_examples(data / "sst2" / "dev.tsv")
    assert (len(sst2), sst2.pairs, sst2.label_set()) == (872, None, ["0", "1"])
    assert sst2.label_ids(["0", "1"]).count(1) == 444
    mrpc = read_examples(data / "mrpc" / "train.tsv")
    assert len(mrpc) == len(mrpc.pairs or ()) == 3668
    assert mrpc.label_ids(["0", "1"]).count(1) == 2474
    hotels = read_examples(data / "chinese_sentiment" / "ChnSentiCorp_htl_all.csv")
    assert len(hotels) == 7766


def test_json_labels_of_every_kind(tmp_path: pathlib.Path) -> None:
    values = [0, 12, -3, True, False, 2.5, "x", " y "]
    content = "".join(json.dumps({"text": "t", "label": value}) + "\n" for value in values)
    examples = _read(tmp_path, "a.jsonl", content)
    assert examples.labels == ["0", "12", "-3", "true", "false", "2.5", "x", "y"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ["a", "b"]),
        (["10", "9", "2"], ["2", "9", "10"]),
        (["1", "-1", "0"], ["-1", "0", "1"]),
        (["10", "9", "x"], ["10", "9", "x"]),
    ],
)
def test_label_order(tmp_path: pathlib.Path, labels: list[str], expected: list[str]) -> None:
    content = "text\tlabel\n" + "".join(f"t\t{label}\n" for label in labels)
    examples = _read(tmp_path, "a.tsv", content)
    assert examples.label_set() == expected
    assert [expected[i] for i in examples.label_ids(expected)] == labels


def test_one_label_is_no_task(tmp_path: pathlib.Path) -> None:
    examples = _read(tmp_path, "a.tsv", "text\tlabel\na\tx\nb\tx\n")
    with pytest.raises(UserError, match="received x as the only label, expected at least two"):
        examples.label_set()


def test_unknown_label(tmp_path: pathlib.Path) -> None:
    examples = _read(tmp_path, "dev.tsv", "text\tlabel\na\tx\nb\tz\n")
    message = r"dev\.tsv:3: unknown label 'z', expected one of x, y$"
    with pytest.raises(UserError, match=message):
        examples.label_ids(["x", "y"])


def test_unlabelled(tmp_path: pathlib.Path) -> None:
    table = _read(tmp_path, "a.tsv", "text\tlabel\na\t\n", labelled=False)
    assert (table.texts, table.labels) == (["a"], None)
    with pytest.raises(UserError, match="was read without labels"):
        table.label_ids(["x"])
    plain = _read(tmp_path, "a.txt", "one\ttab\n\nthree\n", labelled=False)
    assert (plain.texts, plain.lines) == (["one\ttab", "", "three"], [1, 2, 3])


@pytest.mark.parametrize(
    ("content", "texts", "pairs"),
    [
        ("one\n{two\n", ["one", "{two"], None),
        ('{"text": "one", "text_pair": "two"}\n', ["one"], ["two"]),
    ],
)
def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, content: str, texts: list[str], pairs: list[str] | None
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    examples = read_examples("-", labelled=False)
    assert (examples.texts, examples.pairs) == (texts, pairs)
    assert examples.where(0) == "standard input:1"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "text\tlabel\nx\t1\ny\t\n", r"a\.tsv:3: column 'label' is empty"),
        ("a.tsv", "text\tlabel\nx\t \n", r"a\.tsv:2: column 'label' is empty"),
        ("a.tsv", "body\tlabel\nx\t1\n", r"a\.tsv:1: no text column; the columns are body, label"),
        ("a.csv", "text,kind\nx,1\n", r"a\.csv:1: no label column; the columns are text, kind"),
        ("a.tsv", "just a text\nanother\n", r"a\.tsv:1: no text column; .* are just a text"),
        ("a.csv", "", r"a\.csv: the file is empty"),
        ("a.jsonl", '{"text": [1], "label": 1}', r"a\.jsonl:1: column 'text' holds \[1\], expect"),
        ("a.jsonl", '{"text": true, "label": 1}', r"a\.jsonl:1: column 'text' holds true, exp"),
        ("a.jsonl", '{"text": NaN, "label": 1}', r"a\.jsonl:1: column 'text' holds NaN, expec"),
        ("a.jsonl", '{"text": "a", "label": NaN}', r":1: column 'label' holds NaN, expected a l"),
        ("a.jsonl", '{"text": "a", "label": null}', r":1: column 'label' holds null, expected a l"),
        ("a.jsonl", '{"text": "a", "label": [1]}', r":1: column 'label' holds \[1\], expected"),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"label": 1}',
            r":2: column 'text' is missing, expected a text",
        ),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"text": "a"}',
            r":2: column 'label' is missing, expected a label",
        ),
        ("a.jsonl", '{"text": "a\\ud800", "label": 1}', r":1: column 'text' is not valid Unicode"),
        ("a.json", "[]", r"a\.json: has no rows, expected JSON objects"),
        ("a.xml", "{}", r"a\.xml: is no known kind of data, expected a name that ends in"),
        ("a.txt", "x", r"a\.txt: the file has a header and no rows; its columns are x"),
    ],
)
def test_bad_data(tmp_path: pathlib.Path, name: str, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        _read(tmp_path, name, content)
    assert "\n" not in str(caught.value)


_PIECES = [
    b"text",
    b"label",
    b"\t",
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\xff",
    b"\0",
    b"{",
    b"}",
    b":",
    b"1",
]
_PIECES += [
    b'{"text": "a", "label": ',
    b"\xef\xbb\xbf",
    b"text\tlabel\n",
    b"text,label\n",
    b"\\ud800",
]


@settings(max_examples=300, deadline=None)
@given(
    raw=st.lists(st.sampled_from(_PIECES) | st.binary(max_size=3), max_size=12).map(b"".join),
    name=st.sampled_from(["f.tsv", "f.csv", "f.jsonl", "f.jsonl.gz", "f.txt"]),
    labelled=st.booleans(),
)
def test_any_bytes_give_examples_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, name: str, labelled: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") and len(raw) % 2 else raw)
    try:
        examples = read_examples(path, labelled=labelled)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert len(examples) == len(examples.lines) > 0
        assert (examples.labels is not None) == labelled
        assert all(examples.labels or [True])
        "".join(examples.texts).encode("utf-8")
