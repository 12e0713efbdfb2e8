"""Options in a model directory's config that are not what the task's constructor takes."""

from __future__ import annotations

import json

import pytest

from bert_keras.errors import UserError
from bert_keras.tasks import QuestionAnswerer, TextClassifier
from tests import small


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("classifier", {"pairs": ""}, "pairs of bert_keras in its config is '', expected bool or"),
        ("classifier", {"labels": {"a": 1}}, "labels of bert_keras .* expected Sequence or None"),
        ("classifier", {"max_length": 2.5}, "max_length of bert_keras .* is 2.5, expected a posi"),
        ("classifier", None, "bert_keras of its config is None, expected an object"),
        ("answerer", {"n_best": 2**70}, "n_best of bert_keras .* expected int"),
        ("answerer", {"n_best": -1}, "n_best of bert_keras in its config is -1, expected int"),
        ("answerer", {"null_score_threshold": "1"}, "null_score_threshold .* expected float"),
        ("answerer", {"impossible": 1}, "impossible of bert_keras in its config is 1, expected b"),
    ],
)
def test_wrong_options_are_named(tmp_path, kind, changes, message):
    if kind == "classifier":
        small.classifier().save_pretrained(tmp_path)
        load = TextClassifier.from_pretrained
    else:
        QuestionAnswerer(small.encoder(), small.tokenizer(), max_length=16).save_pretrained(
            tmp_path
        )
        load = QuestionAnswerer.from_pretrained
    load(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["bert_keras"] = None if changes is None else {**config["bert_keras"], **changes}
    path.write_text(json.dumps(config))
    with pytest.raises(UserError, match=message):
        load(tmp_path)
