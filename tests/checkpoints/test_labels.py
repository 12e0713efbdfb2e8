"""The labels of a classifier's rows, from every field that names or counts them."""

from __future__ import annotations

import pytest

from bert_keras.checkpoints.labels import are_default, label_fields, labels_of
from bert_keras.errors import UserError


def test_labels_that_have_names():
    assert labels_of(label_fields(["no", "yes"]), rows=2) == ["no", "yes"]
    assert labels_of({"label2id": {"yes": 1, "no": 0}}, rows=2) == ["no", "yes"]
    assert labels_of(label_fields(["no", "yes"])) == ["no", "yes"]


@pytest.mark.parametrize("counted", [{}, {"num_labels": 3}, {"_num_labels": 3}])
def test_rows_without_names_have_those_of_transformers(counted):
    assert labels_of(counted, rows=3) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert labels_of(counted) is None
    assert are_default(["LABEL_0", "LABEL_1"])
    assert not are_default(["LABEL_1", "LABEL_0"]) and not are_default([])


@pytest.mark.parametrize(
    ("settings", "numbers"),
    [
        (label_fields(["no", "yes"]), "labels by name: 2, rows of the classifier: 3"),
        ({"num_labels": 2}, "num_labels: 2, rows of the classifier: 3"),
        ({"_num_labels": 5}, "_num_labels: 5, rows of the classifier: 3"),
        (
            {**label_fields(["a", "b", "c"]), "num_labels": "three"},
            "labels by name: 3, num_labels: 'three', rows of the classifier: 3",
        ),
    ],
)
def test_numbers_that_disagree_are_named(settings, numbers):
    with pytest.raises(UserError) as error:
        labels_of(settings, "DIR", rows=3)
    message = str(error.value)
    assert message.startswith(f"DIR: expected one number of classes, received {numbers};")
    assert "\n" not in message


@pytest.mark.parametrize("table", [{"1": "a", "2": "b"}, ["a", "b"], {"0": "a", "zero": "b"}])
def test_labels_that_are_not_numbered_from_0(table):
    with pytest.raises(UserError, match="id2label must number the labels from 0, received"):
        labels_of({"id2label": table})
