"""The columns of the field's data sets are found by themselves."""

from __future__ import annotations

import pytest

from bert_keras.data.columns import Columns, choose_columns
from bert_keras.data.tables import Table
from bert_keras.errors import UserError

# The headers of GLUE's files, then those of other data sets and of TFDS's versions.
HEADERS = {
    "sst2": ("sentence label", "sentence - label"),
    "mrpc": ("Quality|#1 ID|#2 ID|#1 String|#2 String", "#1 String|#2 String|Quality"),
    "cola": ("source label original_label sentence", "sentence - label"),
    "qqp": ("id qid1 qid2 question1 question2 is_duplicate", "question1 question2 is_duplicate"),
    "qnli": ("index question sentence label", "question sentence label"),
    "rte": ("index sentence1 sentence2 label", "sentence1 sentence2 label"),
    "wnli": ("index sentence1 sentence2 label", "sentence1 sentence2 label"),
    "mnli": (
        "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse "
        "sentence1_parse sentence2_parse sentence1 sentence2 label1 gold_label",
        "sentence1 sentence2 gold_label",
    ),
    "stsb": (
        "index genre filename year old_index source1 source2 sentence1 sentence2 score",
        "sentence1 sentence2 score",
    ),
    "mnli in tfds": ("hypothesis idx label premise", "premise hypothesis label"),
    "imdb": ("text label", "text - label"),
    "hotel reviews": ("label review", "review - label"),
    "lcqmc": ("text_a text_b label", "text_a text_b label"),
    "afqmc": ("sentence1 sentence2 label", "sentence1 sentence2 label"),
    "several labels": ("text labels", "text - labels"),
    "sick": ("pair_ID sentence_A sentence_B label", "sentence_A sentence_B label"),
    "capitals": ("Text Label", "Text - Label"),
    "ours": ("text text_pair label", "text text_pair label"),
}


def _table(columns: list[str]) -> Table:
    return Table("f", columns, [["x"] * len(columns)], [2])


def _names(text: str) -> list[str]:
    return text.split("|") if "|" in text else text.split()


@pytest.mark.parametrize("name", HEADERS)
def test_known_headers(name: str) -> None:
    there, chosen = map(_names, HEADERS[name])
    text, pair, label = [None if column == "-" else column for column in chosen]
    expected = Columns(text or "", pair, label)
    assert choose_columns(_table(there), None, None, None, True) == expected
    unlabelled = [column for column in there if column != label]
    assert choose_columns(_table(unlabelled), None, None, None, False).label is None


def test_named_columns_override() -> None:
    there = _table(["sentence1", "sentence2", "label", "body", "kind"])
    assert choose_columns(there, "body", None, "Kind", True) == Columns("body", None, "kind")
    assert choose_columns(there, "sentence1", None, None, True).pair is None
    assert choose_columns(there, "sentence1", "body", None, True).pair == "body"
    assert choose_columns(there, None, "body", None, True) == Columns("sentence1", "body", "label")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("body", None, None), "f:1: text_column=body is not among the columns sentence, label"),
        ((None, "b", None), "f:1: pair_column=b is not among the columns sentence, label"),
        ((None, None, "kind"), "f:1: label_column=kind is not among the columns sentence, label"),
    ],
)
def test_named_column_that_is_not_there(
    named: tuple[str | None, str | None, str | None], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        choose_columns(_table(["sentence", "label"]), *named, labelled=True)


def test_nothing_known() -> None:
    with pytest.raises(UserError, match="f:1: no text column; the columns are label, body, .*text"):
        choose_columns(_table(["label", "body"]), None, None, None, True)
    with pytest.raises(UserError, match="f:1: no label column; the columns are sentence, .*label_"):
        choose_columns(_table(["sentence"]), None, None, None, True)
    with pytest.raises(UserError, match="if line 1 is a row, the file has no header: .*_column=1$"):
        choose_columns(_table(["a fine film", "pos"]), None, None, None, True)


def test_repeated_names() -> None:
    table = Table("f", ["text", "", "text", ""], [["a", "1", "a", "2"]], [2])
    assert table.position("text") == 0
    with pytest.raises(UserError, match="f:1: columns 2 and 4 are both called '' and differ in li"):
        table.position("")
