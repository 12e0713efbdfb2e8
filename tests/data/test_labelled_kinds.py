"""Examples whose label is a number or a list, and the message for each bad one."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from bert_keras.data.examples import read_kind
from bert_keras.data.labelled_kinds import MultiLabelExamples, ScoredExamples
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

STSB = (
    'main-captions\tMSRvid\t2012test\t0001\t2.500\tA "man is\t one man\n'
    "main-news\theadlines\t2016\t17\t0\tx\ty\tsource one\tsource two\n"
    "main-forums\tdeft\t2015\t3\t5.000\tp, q\tr\n"
)


def _read(folder: pathlib.Path, kind: type, content: str, name: str = "a.tsv"):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return read_kind(kind, DataSource(str(path)))


@pytest.mark.parametrize("name", ["sts-train.csv", "sts-train.tsv"])
def test_sts_benchmark_files_as_they_are(tmp_path: pathlib.Path, name: str) -> None:
    examples = _read(tmp_path, ScoredExamples, STSB, name)
    assert examples.labels == [2.5, 0.0, 5.0]
    assert examples.texts == ['A "man is', "x", "p, q"]
    assert examples.pairs == [" one man", "y", "r"]
    assert examples.row(1) == {"text": "x", "text_pair": "y", "label": 0.0}
    assert examples.where(2).endswith(f"{name}:3")


def test_glue_stsb(tmp_path: pathlib.Path) -> None:
    header = "index genre filename year old_index source1 source2 sentence1 sentence2 score"
    row = "0\tmain\tf\t2012\t1\tnone\tnone\tone\ttwo\t3.200\n"
    examples = _read(tmp_path, ScoredExamples, "\t".join(header.split()) + "\n" + row)
    assert (examples.texts, examples.pairs, examples.labels) == (["one"], ["two"], [3.2])


@pytest.mark.parametrize("score", ["nan", "inf", "good", "-Infinity", "1,5", ""])
def test_a_score_is_a_finite_number(tmp_path: pathlib.Path, score: str) -> None:
    with pytest.raises(UserError, match=r"a\.tsv:3: column 'score' (holds|is empty)"):
        _read(tmp_path, ScoredExamples, f"text\tscore\na\t1\nb\t{score}\n")
    with pytest.raises(UserError, match=r"b\.csv:4: received 5 field\(s\), expected 7"):
        _read(tmp_path, ScoredExamples, STSB + "main-news\tx\t2012\t1\t2\n", "b.csv")


def test_labels_in_a_cell_or_in_a_list(tmp_path: pathlib.Path) -> None:
    expected = [["b", "a"], [], ["7"]]
    tsv = "text\tlabels\nx\tb, a\ny\t\nz\t7\n"
    assert _read(tmp_path, MultiLabelExamples, tsv).labels == expected
    csv = 'text,label\nx,"b,a"\ny,\nz,7\n'
    assert _read(tmp_path, MultiLabelExamples, csv, "a.csv").labels == expected
    for none in ([], "", None):
        rows = [("x", ["b", "a"]), ("y", none), ("z", [7])]
        lines = [json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows]
        examples = _read(tmp_path, MultiLabelExamples, "".join(lines), "a.jsonl")
        assert examples.labels == expected
    assert examples.row(0) == {"text": "x", "labels": ["b", "a"]}
    assert examples.label_set() == ["7", "a", "b"]
    np.testing.assert_array_equal(
        examples.multi_hot(["a", "7", "b"]), [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    )
    with pytest.raises(UserError, match=r"a\.jsonl:3: unknown label '?7'?, expected some of a, b"):
        examples.multi_hot(["a", "b"])
    assert examples.part(1, 3).labels == expected[1:]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x\ta,,b", "is empty, expected a label"),
        ("x\ta,b,a", "has the label a more than once"),
    ],
)
def test_bad_lists_of_labels(tmp_path: pathlib.Path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=f"a.tsv:2: column 'labels' {message}"):
        _read(tmp_path, MultiLabelExamples, f"text\tlabels\n{line}\n")
    with pytest.raises(UserError, match=r"a\.jsonl:1: column 'labels' holds \{\"a\": 1\}"):
        _read(tmp_path, MultiLabelExamples, '{"text": "x", "labels": [{"a": 1}]}\n', "a.jsonl")
