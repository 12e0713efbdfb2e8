"""Ours: a servable behind `bert-keras serve`."""

from __future__ import annotations

import pathlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip

import bert_keras as bk
from benchmarks.sides.text_clients import ServedSentences
from bert_keras.export import deployment, saved_model


class Serving(ServedSentences):
    """A servable of the weights in `precision`, and the development server on it.

    With `batching`, calls share runs by the parameters that `bert-keras export` writes, but for
    the threads: on few cores one run at a time leaves the largest batches.
    """

    method = "/tensorflow.serving.PredictionService/Predict"

    def __init__(self, work: Mapping[str, Any]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._base = pathlib.Path(self._folder.name, "model")
        task = bk.tasks.TextClassifier.from_pretrained(
            work["weights"], max_length=work["max_length"], dtype=work["precision"]
        )
        saved_model.save(task, self._base / "1")
        self._flags = self._batching() if work["batching"] else []
        super().__init__(work)
        self.settings = f"{work['precision']}, bert-keras serve" + (
            ": --enable_batching, batching.config with one batch thread, --grpc_max_threads=64"
            * work["batching"]
        )

    def _batching(self) -> list[str]:
        deployment.write_deployment(self._base, ["text"])
        file = self._base / "batching.config"
        text = re.sub(r"(num_batch_threads .*) \d+", r"\1 1", file.read_text())
        file.write_text(text)
        return [
            "--enable_batching",
            f"--batching_parameters_file={file}",
            "--grpc_max_threads=64",
        ]

    def command(self) -> Sequence[str]:
        base = f"--model_base_path={self._base}"
        return ["-m", "bert_keras", "serve", "--model_name=model", base, "--port=0", *self._flags]

    def request(self, texts: Sequence[str]) -> bytes:
        message = predict_pb2.PredictRequest()
        message.model_spec.name = "model"
        message.inputs["text"].CopyFrom(tf.make_tensor_proto(list(texts)))
        message.output_filter.extend(["label", "scores"])
        return message.SerializeToString()

    def positive(self, answer: bytes) -> list[bool]:
        labels = predict_pb2.PredictResponse.FromString(answer).outputs["label"]
        return [label == b"positive" for label in tf.make_ndarray(labels)]
