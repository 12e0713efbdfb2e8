"""`predict --server` writes what `predict --model` writes, for every task."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from bert_keras import cli
from bert_keras.export.client import Client
from bert_keras.export.signatures import signatures_of
from bert_keras.tasks import BertTask, MultiLabelClassifier
from tests import small, small_pretraining
from tests.tasks import kinds

TEXT = ("in.txt", "the film was great\nbad plot !\ngood\n")
MASKS = ("in.txt", "the [MASK] was great\n[MASK] plot\n")
INPUTS = {
    "classification": TEXT,
    "regression": ("in.tsv", "sentence1\tsentence2\na film\ta plot\nbad\tgood !\n"),
    "tagging": TEXT,
    "question_answering": (
        "in.jsonl",
        '{"id": "1", "question": "it was ?", "context": "the film was great and it is a plot"}\n'
        '{"id": "2", "question": "who ?", "context": "actors"}\n',
    ),
    "multiple_choice": (
        "in.jsonl",
        '{"context": "the film", "choices": ["was good", "is bad !", "it not"]}\n'
        '{"context": "actors and", "choices": ["a plot", "great"]}\n',
    ),
    "embedding": TEXT,
    "fill_mask": MASKS,
    "several labels": TEXT,
}


@pytest.fixture
def serve(monkeypatch):
    """Has every client talk to a task's signatures."""

    def start(task: BertTask) -> None:
        predict = signatures_of(task)["serving_default"]
        concrete = predict.get_concrete_function()
        names = [spec.name for spec in concrete.structured_input_signature[0]]
        signature = meta_graph_pb2.SignatureDef()
        for name in concrete.structured_outputs:
            signature.outputs[name].name = name

        def answer(_: Client, name: str, inputs: dict, **options) -> dict[str, np.ndarray]:
            assert name == "model"
            assert set(inputs) == set(names)
            outputs = predict(*(tf.constant(inputs[key], tf.string) for key in names))
            return {key: value.numpy() for key, value in outputs.items()}

        monkeypatch.setattr(Client, "signatures", lambda *_: {"serving_default": signature})
        monkeypatch.setattr(Client, "predict", answer)

    return start


def _task(kind: str, folder) -> BertTask:
    if kind == "fill_mask":
        small_pretraining.pretrainer(initializer_range=0.2).save_pretrained(folder)
        from bert_keras.tasks import FillMask

        return FillMask.from_pretrained(folder)
    if kind == "several labels":
        return MultiLabelClassifier(
            small.encoder(), small.tokenizer(), ["a", "b", "c"], max_length=16
        )
    return kinds.task(kind)


def _same(got, want) -> None:
    """Equal, numbers nearly."""
    if isinstance(want, dict):
        assert list(got) == list(want)
        got, want = list(got.values()), list(want.values())
    if isinstance(want, list):
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            _same(one, other)
    else:
        assert got == (pytest.approx(want, abs=1e-5) if isinstance(want, float) else want)


def _first_fast(kinds_):
    """The first kind is a default test, the others are slow ones."""
    first, *others = kinds_
    return [first, *(pytest.param(kind, marks=pytest.mark.slow) for kind in others)]


@pytest.mark.parametrize("kind", _first_fast(INPUTS))
def test_the_rows_are_those_of_the_model(kind, serve, tmp_path):
    name, text = INPUTS[kind]
    (tmp_path / name).write_text(text)
    task = _task(kind, tmp_path / "model")
    task.save_pretrained(tmp_path / "model")
    serve(task)
    rows = []
    for flags in (["--server=host:1", "--model_name=model"], [f"--model={tmp_path / 'model'}"]):
        output = tmp_path / f"out{len(rows)}.jsonl"
        common = [f"--input={tmp_path / name}", f"--output={output}", "--batch_size=2"]
        assert cli.main(["predict", *flags, *common]) == 0
        rows.append([json.loads(line) for line in output.read_text().splitlines()])
    got, want = rows
    assert len(got) == len(text.splitlines()) - name.endswith(".tsv")
    _same(got, want)


# By task: the method of a served model, and its arguments.
QUESTIONS = {
    "classification": ("classify", ["the film was great", "bad plot !", "good"]),
    "several labels": ("classify", ["the film was great", "bad plot !", "good"]),
    "regression": ("score", ["a film", "bad", "it"], ["a plot", "good !", "is"]),
    "tagging": ("tag", ["the film was great", "", "actors"]),
    "question_answering": ("answer", ["it ?", "who ?", ""], ["it is a plot", "actors", "the film"]),
    "multiple_choice": ("choose", ["a", "film"], [["was good", "bad"], ["a", "plot", "it is"]]),
    "fill_mask": ("fill_mask", ["the [MASK] was great", "[MASK] plot", "a [MASK]"]),
}


@pytest.mark.parametrize("kind", _first_fast(QUESTIONS))
def test_a_served_model_answers_as_the_model(kind, serve, tmp_path):
    method, *columns = QUESTIONS[kind]
    task = _task(kind, tmp_path)
    serve(task)
    want = task.predict(columns[0] if len(columns) == 1 else tuple(columns))
    client = Client("host:1", model_name="model")
    for served in (client.model("model", batch_size=2), client):
        got = getattr(served, method)(*columns)
        assert [type(answer) for answer in got] == [type(answer) for answer in want]
        _same([dataclasses.asdict(x) for x in got], [dataclasses.asdict(x) for x in want])


def test_lists_of_a_served_model_are_checked():
    model = Client("host:1").model()
    for ask in (lambda: model.classify("text"), lambda: model.answer(["one"], ["two", "three"])):
        with pytest.raises(ValueError, match="expected lists of one length"):
            ask()


def test_embeddings_of_a_served_model(serve):
    task = kinds.task("embedding")
    serve(task)
    vectors = Client("host:1").model("model", batch_size=2).embed(["a film", "", "bad plot"])
    np.testing.assert_allclose(vectors, task.embed(["a film", "", "bad plot"]), atol=1e-5)


@pytest.mark.slow
def test_words_and_pairs_are_refused_in_one_line(serve, tmp_path, capsys):
    cases = {
        "tagging": ("in.jsonl", '{"words": ["the", "film"]}\n', "expected texts"),
        "embedding": ("in.tsv", "sentence1\tsentence2\na\tb\n", "expected single texts"),
    }
    for kind, (name, text, message) in cases.items():
        (tmp_path / name).write_text(text)
        serve(kinds.task(kind))
        flags = ["--server=host:1", "--model_name=model", f"--input={tmp_path / name}"]
        assert cli.main(["predict", *flags]) == 2
        assert message in capsys.readouterr().err


def test_a_servable_of_another_kind_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Client, "signatures", lambda *_: {})
    assert cli.main(["predict", "--server=host:1", "--model_name=other"]) == 2
    assert "model 'other' has the outputs []" in capsys.readouterr().err
