"""The cases of tensorflow/serving's `model_servers/tensorflow_model_server_test.py`: its gRPC calls
and its command line. Those of REST are in test_rest_api.py."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
import keras
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from bert_keras import cli
from bert_keras.export.server import ModelServer
from tests.export.example_models import example

MODELS = pytest.mark.parametrize("model", ["half_plus_two", "half_plus_two_tf2"])
HOST = "127.0.0.1"
# A client that is there before the server tries again soon.
SOON = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50)]


def predict(
    channel: grpc.Channel,
    model: str = "default",
    signature: str = "serving_default",
    outputs: tuple[str, ...] = (),
    dimensions: int = 1,
) -> float:
    """The one number that a version 123 answers to x = 2."""
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    x = request.inputs["x"]
    x.dtype = tf.float32.as_datatype_enum
    x.float_val.append(2.0)
    for _ in range(dimensions):
        x.tensor_shape.dim.add(size=1)
    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request)
    assert response.model_spec.name == model
    assert response.model_spec.signature_name == signature
    assert response.model_spec.version.value == 123
    (output,) = response.outputs.values()
    assert output.dtype == tf.float32.as_datatype_enum
    (value,) = output.float_val
    return value


def test_status(example_channel: grpc.Channel) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half_plus_two"
    stub = model_service_pb2_grpc.ModelServiceStub(example_channel)
    (status,) = stub.GetModelStatus(request).model_version_status
    assert (status.version, status.status.error_code) == (123, 0)


def test_metadata(example_prediction: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "half_plus_two"
    response = example_prediction.GetModelMetadata(request)
    assert (response.model_spec.name, response.model_spec.version.value) == ("half_plus_two", 123)
    assert [*response.metadata] == ["signature_def"]


@MODELS
def test_classify_and_regress(example_prediction: Any, model: str) -> None:
    for call, kind, name in (
        (example_prediction.Classify, classification_pb2.ClassificationRequest, "classify_x_to_y"),
        (example_prediction.Regress, regression_pb2.RegressionRequest, "regress_x_to_y"),
    ):
        request = kind(model_spec={"name": model, "signature_name": name})
        request.input.example_list.examples.append(example(x=2.0))
        response = call(request)
        spec = response.model_spec
        assert (spec.name, spec.signature_name, spec.version.value) == (model, name, 123)
        if kind is regression_pb2.RegressionRequest:
            assert [regression.value for regression in response.result.regressions] == [3.0]
        else:
            (row,) = response.result.classifications
            assert [entry.score for entry in row.classes] == [3.0]


@MODELS
def test_multi_inference(example_prediction: Any, model: str) -> None:
    request = inference_pb2.MultiInferenceRequest()
    for kind in ("regress", "classify"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{kind}")
        task.model_spec.name, task.model_spec.signature_name = model, f"{kind}_x_to_y"
    request.input.example_list.examples.append(example(x=2.0))
    first, second = example_prediction.MultiInference(request).results
    assert first.regression_result.regressions[0].value == 3.0
    assert second.classification_result.classifications[0].classes[0].score == 3.0


@pytest.mark.parametrize("outputs", [(), ("y",)])
def test_predict(example_channel: grpc.Channel, outputs: tuple[str, ...]) -> None:
    assert predict(example_channel, "half_plus_two", outputs=outputs) == 3.0


def serve(asking: Callable[[grpc.Channel], None], *flags: str) -> None:
    """Runs `bert-keras serve` until `asking`, in a thread, is through, and then ends it."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    over = threading.Event()

    def ask() -> None:
        try:
            with grpc.insecure_channel(f"{HOST}:{port}", SOON) as channel:
                grpc.channel_ready_future(channel).result(60)
                asking(channel)
        finally:
            if not over.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

    with futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        try:
            assert cli.main(["serve", f"--port={port}", *flags]) == 0
        finally:
            over.set()
    asked.result()


def config(base: pathlib.Path, *names: str) -> str:
    entries = (
        f'config {{ name: "{name}", base_path: "{base / name}", model_platform: "tensorflow" }}'
        for name in names
    )
    return f"model_config_list: {{ {' '.join(entries)} }}"


def test_a_model_config_file(example_models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "models.config"
    file.write_text(config(example_models, "half_plus_two", "half_plus_three"))

    def asking(channel: grpc.Channel) -> None:
        for outputs in ((), ("y",)):
            assert predict(channel, "half_plus_two", outputs=outputs) == 3.0
            assert predict(channel, "half_plus_three", outputs=outputs) == 4.0

    serve(asking, f"--model_config_file={file}")


def test_a_bad_model_config_file(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "models.config"
    file.write_text("improperly formatted file contents")
    assert cli.main(["serve", f"--model_config_file={file}"]) == 2
    error = capsys.readouterr().err
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in error
    assert error.count("\n") == 1 and str(file) in error


@pytest.mark.parametrize(("seconds", "expected"), [(0.05, "half_plus_three"), (0, "half_plus_two")])
def test_the_config_file_is_polled_or_not(
    example_models: pathlib.Path, tmp_path: pathlib.Path, seconds: float, expected: str
) -> None:
    file = tmp_path / "models.config"
    file.write_text(config(example_models, "half_plus_two"))

    def asking(channel: grpc.Channel) -> None:
        assert predict(channel, "half_plus_two") == 3.0
        file.write_text(config(example_models, "half_plus_three"))
        deadline = time.monotonic() + (30 if seconds else 0.3)
        served = "half_plus_two"
        while served == "half_plus_two" and time.monotonic() < deadline:
            time.sleep(0.02)
            with contextlib.suppress(grpc.RpcError):
                predict(channel, "half_plus_three")
                served = "half_plus_three"
        assert served == expected
        assert predict(channel, served) == (4.0 if seconds else 3.0)

    serve(asking, f"--model_config_file={file}", f"--model_config_file_poll_wait_seconds={seconds}")


def test_channel_arguments_and_a_unix_socket(
    example_models: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/grpc.sock"

        def asking(channel: grpc.Channel) -> None:
            assert predict(channel) == 3.0
            with grpc.insecure_channel(f"unix:{path}") as local:
                assert predict(local) == 3.0

        serve(
            asking,
            f"--model_base_path={example_models / 'half_plus_two'}",
            "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb",
            f"--grpc_socket_path={path}",
        )
    assert f"Running gRPC ModelServer at UNIX socket {path} ..." in capsys.readouterr().out


def test_a_socket_where_there_cannot_be_one(
    example_models: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--port=0", f"--model_base_path={example_models / 'half_plus_two'}"]
    assert cli.main(["serve", *flags, "--grpc_socket_path=/none/grpc.sock"]) == 2
    assert "--grpc_socket_path=/none/grpc.sock: cannot listen on it" in capsys.readouterr().err


@contextlib.contextmanager
def served(base: pathlib.Path) -> Any:
    server = ModelServer({"default": base}, host=HOST)
    port = server.start(timeout=60)
    try:
        with grpc.insecure_channel(f"{HOST}:{port}") as channel:
            yield channel
    finally:
        server.stop(grace=0)


def test_models_of_tensorflow_2(tmp_path: pathlib.Path) -> None:
    """Inputs of any rank; several signatures; outputs that do not depend on the input."""
    root = tf.train.Checkpoint()
    root.factors = [tf.Variable(3.0), tf.Variable(2.0)]
    root.product = tf.function(
        lambda x: {"y": root.factors[0] * root.factors[1] * x},
        input_signature=[tf.TensorSpec(None, tf.float32, name="x")],
    )
    root.constant = tf.function(
        lambda x: {"y": 2.0}, input_signature=[tf.TensorSpec(None, tf.float32, name="x")]
    )
    signatures = {"serving_default": root.product, "custom_signature_key": root.constant}
    tf.saved_model.save(root, str(tmp_path / "00000123"), signatures=signatures)
    with served(tmp_path) as channel:
        assert predict(channel) == 12.0
        assert predict(channel, signature="custom_signature_key", outputs=("y",)) == 2.0


@pytest.mark.parametrize("replicated", [False, True])
def test_models_of_keras(
    tmp_path: pathlib.Path, request: pytest.FixtureRequest, replicated: bool
) -> None:
    scope: Any = contextlib.nullcontext()
    if replicated:
        scope = request.getfixturevalue("two_replicas").scope()
    with scope:
        model = keras.Sequential(
            [keras.Input((1,), name="x"), keras.layers.Dense(1, kernel_initializer="ones")]
        )
    model.export(tmp_path / "00000123", verbose=False)
    with served(tmp_path) as channel:
        assert predict(channel, dimensions=2) == 2.0


def test_a_bad_model(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "00000123").mkdir()
    flags = ["--port=0", "--max_num_load_retries=0", f"--model_base_path={tmp_path}"]
    assert cli.main(["serve", *flags]) == 2
    error = capsys.readouterr().err
    assert "1 servable(s) did not become available: {{{name: default version: 123} due to" in error
