"""The columns of the field's data sets are found by themselves."""

from __future__ import annotations

import pytest

from bert_keras.data.columns import Columns, choose_columns
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
    "ours": ("text text_pair label", "text text_pair label"),
}


def _names(text: str) -> list[str]:
    return text.split("|") if "|" in text else text.split()


@pytest.mark.parametrize("name", HEADERS)
def test_known_headers(name: str) -> None:
    there, chosen = map(_names, HEADERS[name])
    text, pair, label = [None if column == "-" else column for column in chosen]
    assert choose_columns("f", there, None, None, None, True) == Columns(text or "", pair, label)
    unlabelled = [column for column in there if column != label]
    assert choose_columns("f", unlabelled, None, None, None, False).label is None


def test_named_columns_override() -> None:
    there = ["sentence1", "sentence2", "label", "body", "kind"]
    assert choose_columns("f", there, "body", None, "kind", True) == Columns("body", None, "kind")
    assert choose_columns("f", there, "sentence1", None, None, True).pair is None
    assert choose_columns("f", there, "sentence1", "body", None, True).pair == "body"
    assert choose_columns("f", there, None, "body", None, True) == Columns(
        "sentence1", "body", "label"
    )


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("body", None, None), "f: --text_column=body is not among the columns sentence, label"),
        ((None, "b", None), "f: --pair_column=b is not among the columns sentence, label"),
        ((None, None, "kind"), "f: --label_column=kind is not among the columns sentence, label"),
    ],
)
def test_named_column_that_is_not_there(
    named: tuple[str | None, str | None, str | None], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        choose_columns("f", ["sentence", "label"], *named, labelled=True)


def test_nothing_known() -> None:
    with pytest.raises(UserError, match="f: no text column; the columns are label, body, .*--te"):
        choose_columns("f", ["label", "body"], None, None, None, True)
    with pytest.raises(UserError, match="f: no label column; the columns are sentence, .*--label"):
        choose_columns("f", ["sentence"], None, None, None, True)
