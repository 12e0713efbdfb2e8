"""Heads of trained models whose config does not name their classes: they answer, not a new one."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from keras import ops

from bert_keras import checkpoints, cli
from bert_keras.checkpoints import google_tf1
from bert_keras.commands.convert import convert
from bert_keras.errors import UserError
from bert_keras.tasks import (
    MultiLabelClassifier,
    MultipleChoice,
    QuestionAnswerer,
    TextClassifier,
    TextRegressor,
    TokenTagger,
    task_of,
)
from bert_keras.tasks.labelled import columns_of
from tests import small

TEXTS = ["a good film", "the plot was awful !"]
NAMES = ["LABEL_0", "LABEL_1", "LABEL_2"]
# Fields of config.json that say what the classes are; transformers leaves the first two out for
# two classes without names, and never writes the last.
NAMED = ("id2label", "label2id", "bert_keras")


def _forget(folder: pathlib.Path, *names: str, **changes: object) -> pathlib.Path:
    """Takes fields out of a config.json."""
    path = folder / "config.json"
    settings = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in settings.items() if k not in names}))
    return folder


@pytest.fixture(scope="module")
def model() -> TextClassifier:
    """A classifier of three classes whose answers are not all alike."""
    return small.classifier(0.0, labels=["c", "a", "b"])


@pytest.fixture
def folder(model, tmp_path) -> pathlib.Path:
    """Its directory, as transformers writes one: the classes have no names."""
    model.save_pretrained(tmp_path / "model")
    return _forget(tmp_path / "model", *NAMED, "problem_type")


def _logits(model, texts=TEXTS) -> np.ndarray:
    return np.asarray(model(model.tokenizer(texts, max_length=16), training=False))


def _pooled_logits(folder) -> np.ndarray:
    """From the stored tensors alone, as transformers computes them."""
    checkpoint = checkpoints.open_checkpoint(folder)
    features = small.tokenizer()(TEXTS, max_length=16)
    pooled = ops.convert_to_numpy(checkpoint.encoder().pooled(features))
    head = checkpoint.head("classifier")
    return pooled @ head["classifier/kernel"] + head["classifier/bias"]


def test_the_classes_are_the_rows(model, folder):
    assert task_of(checkpoints.open_checkpoint(folder)) is TextClassifier
    loaded = TextClassifier.from_pretrained(folder)
    assert loaded.labels == NAMES
    np.testing.assert_allclose(_logits(loaded), _logits(model), atol=1e-6)
    np.testing.assert_allclose(_logits(loaded), _pooled_logits(folder), atol=1e-6)
    expected = [f"LABEL_{row}" for row in _logits(model).argmax(axis=1)]
    assert [answer.label for answer in loaded.predict(TEXTS)] == expected


@pytest.mark.parametrize(
    ("stored", "given", "columns"),
    [
        (NAMES, ["x", "y", "z"], [0, 1, 2]),
        (NAMES, [2, 0, 1], [2, 0, 1]),
        (NAMES, ["LABEL_2", "LABEL_1", "LABEL_0"], [2, 1, 0]),
        (NAMES, ["x", "y"], None),
        (["a", "b"], ["b", "a"], [1, 0]),
        (["a", "b"], ["a", "c"], None),
        ([f"LABEL_{i}" for i in range(11)], sorted(map(str, range(11))), [0, 1, 10, *range(2, 10)]),
    ],
)
def test_labels_take_the_rows_by_name_by_number_or_in_order(stored, given, columns):
    assert columns_of(stored, given) == columns


def test_labels_of_the_same_number_are_taken_in_order(model, folder, caplog):
    loaded = TextClassifier.from_pretrained(folder, labels=["x", "y", "z"])
    assert loaded.labels == ["x", "y", "z"]
    np.testing.assert_allclose(_logits(loaded), _logits(model), atol=1e-6)
    assert "its classes are taken in order: LABEL_0 as x, LABEL_1 as y, LABEL_2 as z" in caplog.text
    reordered = TextClassifier.from_pretrained(folder, labels=[2, 0, 1])
    np.testing.assert_allclose(_logits(reordered), _logits(model)[:, [2, 0, 1]], atol=1e-6)


def test_another_number_of_labels_is_an_error_and_a_new_head_the_way_out(model, folder, caplog):
    with pytest.raises(UserError) as error:
        TextClassifier.from_pretrained(folder, labels=["x", "y"])
    assert str(error.value) == (
        f"{folder}: its classifier has 3 classes without names, received 2 labels: x, y; give 3 "
        "labels, or new_head=True for a classifier with random weights"
    )
    new = TextClassifier.from_pretrained(folder, labels=["x", "y"], new_head=True)
    assert new.classifier.kernel.shape == (32, 2)
    assert caplog.messages[-1] == (
        f"{folder}: not used: the classifier; from random weights: the classifier"
    )
    assert TextClassifier.from_pretrained(folder, new_head=True)._labels is None
    for field, numbers in (
        ({"num_labels": 2}, "num_labels: 2, rows of the classifier: 3"),
        ({"id2label": {"0": "a", "1": "b"}}, "labels by name: 2, rows of the classifier: 3"),
    ):
        with pytest.raises(UserError, match=f"one number of classes, received .*{numbers}"):
            TextClassifier.from_pretrained(_forget(folder, **field))
        _forget(folder, *field)


def test_a_head_for_other_names_is_left_out_with_a_note(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    other = TextClassifier.from_pretrained(tmp_path, labels=["a", "b", "d"])
    assert np.abs(other.classifier.kernel - model.classifier.kernel).max() > 1e-3
    assert caplog.messages == [
        f"{tmp_path}: not used: the classifier; from random weights: the classifier; its "
        "classifier is for c, a, b, the new one for a, b, d"
    ]


def test_several_labels(model, folder):
    _forget(folder, problem_type="multi_label_classification")
    assert task_of(checkpoints.open_checkpoint(folder)) is MultiLabelClassifier
    loaded = MultiLabelClassifier.from_pretrained(folder)
    assert loaded.labels == NAMES
    np.testing.assert_allclose(_logits(loaded), _logits(model), atol=1e-6)


def test_a_tagger(tmp_path):
    encoder = small.encoder(0.0, add_pooler=False)
    model = TokenTagger(encoder, small.tokenizer(), labels=["A", "B"], max_length=16)
    model.save_pretrained(tmp_path)
    _forget(tmp_path, *NAMED)
    loaded = TokenTagger.from_pretrained(tmp_path)
    assert loaded.labels == ["LABEL_0", "LABEL_1"]
    answers = zip(loaded.predict(TEXTS), model.predict(TEXTS), strict=True)
    for found, expected in answers:
        assert found.tags == ["LABEL_0" if tag == "A" else "LABEL_1" for tag in expected.tags]
        assert found.scores == pytest.approx(expected.scores, abs=1e-6)
    # Tags by number are the rows'.
    numbers = [["0" if tag == "A" else "1" for tag in a.tags] for a in model.predict(TEXTS)]
    words = [answer.words for answer in model.predict(TEXTS)]
    assert loaded.evaluate(words, numbers)["accuracy"] == 1.0


@pytest.mark.slow
def test_one_row_is_a_regression(tmp_path, caplog):
    model = TextRegressor(small.encoder(0.0), small.tokenizer(), max_length=16)
    model.save_pretrained(tmp_path)
    settings = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}
    _forget(tmp_path, *NAMED, "problem_type", **settings)
    assert task_of(checkpoints.open_checkpoint(tmp_path)) is TextRegressor
    loaded = TextRegressor.from_pretrained(tmp_path)
    np.testing.assert_allclose(_logits(loaded), _logits(model), atol=1e-6)
    assert "scores are without its activation_fn torch.nn.modules.activation.Sig" in caplog.text


def test_labels_in_data_may_be_the_rows_numbers(model, folder, tmp_path, capsys):
    rows = _logits(model).argmax(axis=1).tolist()
    data = tmp_path / "dev.tsv"
    for names in (rows, [f"LABEL_{row}" for row in rows]):
        lines = [f"{text}\t{name}\n" for text, name in zip(TEXTS, names, strict=True)]
        data.write_text("text\tlabel\n" + "".join(lines))
        assert cli.main(["evaluate", f"--model={folder}", f"--data={data}"]) == 0
        assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0
    data.write_text("text\tlabel\na good film\t3\n")
    assert cli.main(["evaluate", f"--model={folder}", f"--data={data}"]) == 2
    assert "dev.tsv:2: the label '3' is not one of 0, 1, 2" in capsys.readouterr().err
    loaded = TextClassifier.from_pretrained(folder)
    for labels in (rows, [str(row) for row in rows], [f"LABEL_{row}" for row in rows]):
        np.testing.assert_array_equal(loaded.label_indices(np.array(labels)), rows)


@pytest.mark.slow
def test_the_verbs_answer_with_the_rows(model, folder, tmp_path, capsys):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS) + "\n")
    assert cli.main(["predict", f"--model={folder}", f"--input={texts}"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["label"] for row in rows] == [f"LABEL_{i}" for i in _logits(model).argmax(axis=1)]
    assert cli.main(["export", f"--model={folder}", f"--output={tmp_path}/served/1"]) == 0
    assert (tmp_path / "served/1/assets/labels.txt").read_text().split() == NAMES


@pytest.fixture
def google(model, folder, tmp_path) -> pathlib.Path:
    """The same model as google-research/bert's run_classifier.py writes it."""
    _forget(folder, hidden_act="gelu_new")
    convert(str(folder), "google_tf1", str(tmp_path / "google"))
    return tmp_path / "google"


def test_a_classifier_of_google(folder, google, tmp_path):
    assert task_of(checkpoints.open_checkpoint(google)) is TextClassifier
    loaded = TextClassifier.from_pretrained(google)
    assert loaded.labels == NAMES
    np.testing.assert_allclose(_logits(loaded), _pooled_logits(google), atol=1e-6)
    named = TextClassifier.from_pretrained(google, labels=["x", "y", "z"])
    np.testing.assert_allclose(_logits(named), _logits(loaded), atol=1e-6)
    # transformers needs the labels to know how many rows there are.
    line = convert(str(google), "huggingface", str(tmp_path / "back"))
    assert "BertForSequenceClassification" in line
    assert json.loads((tmp_path / "back/config.json").read_text())["id2label"] == {
        str(row): name for row, name in enumerate(NAMES)
    }


def test_question_answering_of_google(tmp_path):
    encoder = small.encoder(0.0, add_pooler=False)
    model = QuestionAnswerer(encoder, small.tokenizer(), max_length=16)
    config = dataclasses.replace(encoder.config, hidden_act="gelu_new")
    google_tf1.save_checkpoint(tmp_path, config, encoder, model.heads(), model.tokenizer)
    assert task_of(checkpoints.open_checkpoint(tmp_path)) is QuestionAnswerer
    loaded = QuestionAnswerer.from_pretrained(tmp_path, max_length=16)
    for path, weight in model.head_weights().items():
        np.testing.assert_array_equal(weight, loaded.head_weights()[path])


def test_a_classifier_without_architectures_is_no_tagger(folder, caplog):
    _forget(folder, "architectures")
    assert task_of(checkpoints.open_checkpoint(folder)) is TextClassifier
    TokenTagger.from_pretrained(folder, labels=["O", "B-X", "I-X"])
    assert caplog.messages == [
        f"{folder}: not used: the pooler, the classifier; from random weights: the classifier; its "
        "head is that of a BertForSequenceClassification, as its config names no architectures"
    ]
    MultipleChoice.from_pretrained(folder)
    assert "its head is that of a BertForSequenceClassification" in caplog.messages[-1]
