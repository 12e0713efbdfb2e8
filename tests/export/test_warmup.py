"""The warm-up requests beside a servable: each is one, for its task, and a session answers it."""

from __future__ import annotations

import pathlib
import time

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from bert_keras.export import saved_model
from bert_keras.export.capi import CppSession, StatusError
from bert_keras.export.server_warmup import run_warmup
from bert_keras.export.signatures import signatures_of
from bert_keras.export.status import Code
from bert_keras.export.warmup import WARMUP_FILE, write_warmup
from bert_keras.tasks import (
    BertTask,
    FillMask,
    MultipleChoice,
    QuestionAnswerer,
    SentenceEmbedder,
    TextClassifier,
    TextRegressor,
    TokenTagger,
)
from tests import small

_LENGTHS = [[1], [4], [16], [32], [1, 4], [1, 4, 1, 4]]


def _task(kind: str) -> BertTask:
    parts = small.encoder(layers=1), small.tokenizer()
    makers = {
        "pairs": lambda: TextClassifier(*parts, labels=["no", "yes"], pairs=True, max_length=16),
        "regression": lambda: TextRegressor(*parts, max_length=16),
        "tagging": lambda: TokenTagger(*parts, labels=["O", "B-X"], max_length=16),
        "question_answering": lambda: QuestionAnswerer(
            *parts, max_length=16, max_query_length=4, doc_stride=4
        ),
        "multiple_choice": lambda: MultipleChoice(*parts, max_length=16),
        "embedding": lambda: SentenceEmbedder(*parts, max_length=16),
        "fill_mask": lambda: FillMask(*parts, max_length=16),
    }
    return makers[kind]()


def _logs(version: pathlib.Path) -> list[prediction_log_pb2.PredictionLog]:
    records = tf.data.TFRecordDataset(str(version / WARMUP_FILE)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


@pytest.mark.parametrize(
    ("kind", "inputs", "on_examples"),
    [
        ("pairs", ["text", "text_pair"], "classify"),
        ("regression", ["text"], "regress"),
        ("tagging", ["text"], None),
        ("question_answering", ["context", "question"], None),
        ("multiple_choice", ["choices", "context"], None),
        ("embedding", ["text"], None),
        ("fill_mask", ["text"], None),
    ],
)
def test_every_signature_is_asked(
    kind: str, inputs: list[str], on_examples: str | None, tmp_path: pathlib.Path
) -> None:
    task = _task(kind)
    write_warmup(tmp_path, task, signatures_of(task))
    logs = _logs(tmp_path)
    asked = [log.predict_log.request for log in logs if log.HasField("predict_log")]
    words = []
    for request in asked:
        assert request.model_spec.signature_name == "serving_default"
        assert sorted(request.inputs) == inputs
        values = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        assert len({len(column) for column in values.values()}) == 1
        texts = values["context" if "context" in inputs else "text"].tolist()
        marked = [text.count(b"[MASK]") for text in texts]
        assert set(marked) == {int(kind == "fill_mask")}
        words.append([text.split().count(b"a") for text in texts])
    assert words == _LENGTHS
    assert len(logs) == len(asked) * (2 if on_examples else 1)
    if on_examples:
        requests = [
            getattr(log, f"{on_examples}_log").request
            for log in logs
            if log.HasField(f"{on_examples}_log")
        ]
        for request, lengths in zip(requests, _LENGTHS, strict=True):
            assert request.model_spec.signature_name == on_examples
            examples = request.input.example_list.examples
            assert [sorted(example.features.feature) for example in examples] == [
                inputs for _ in lengths
            ]
            found = [example.features.feature["text"].bytes_list.value for example in examples]
            assert [len(value.split()) for (value,) in found] == lengths


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "pairs",
        "regression",
        "tagging",
        "question_answering",
        "multiple_choice",
        "embedding",
        "fill_mask",
    ],
)
def test_a_session_answers_all(kind: str, tmp_path: pathlib.Path) -> None:
    version = saved_model.save(_task(kind), tmp_path / "1")
    with CppSession(version) as session:
        assert run_warmup(session, version) == len(_logs(version))


@pytest.mark.slow
def test_the_first_request_after_them_is_a_warm_one(tmp_path: pathlib.Path) -> None:
    version = saved_model.save(_task("pairs"), tmp_path / "1")

    def first_seconds(session: CppSession) -> float:
        start = time.perf_counter()
        session.run("serving_default", {"text": ["good film"], "text_pair": ["bad"]})
        return time.perf_counter() - start

    with CppSession(version) as cold, CppSession(version) as warm:
        assert run_warmup(warm, version) == 2 * len(_LENGTHS)
        assert first_seconds(warm) < first_seconds(cold) / 3
        _check_that_bad_records_fail(warm, version)


def _check_that_bad_records_fail(session: CppSession, version: pathlib.Path) -> None:
    file = version / WARMUP_FILE
    content = file.read_bytes()
    file.write_bytes(content.replace(b"serving_default", b"serving_unknown"))
    with pytest.raises(StatusError, match="corrupted record.*TFRecord format") as damaged:
        run_warmup(session, version)
    assert damaged.value.code == Code.DATA_LOSS
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "unknown"
    for record, message in (
        (b"\xff", "Failed to parse warmup record"),
        (log.SerializeToString(), 'Serving signature key "unknown" not found'),
    ):
        with tf.io.TFRecordWriter(str(file)) as writer:
            writer.write(record)
        with pytest.raises(StatusError, match=message):
            run_warmup(session, version)
