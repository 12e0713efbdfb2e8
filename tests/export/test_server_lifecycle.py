"""Start, new versions under load, warm-up, and the end: what a server does over its life."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from bert_keras.errors import UserError
from bert_keras.export.capi import CppSession
from bert_keras.export.client import Client
from bert_keras.export.server import ModelServer, Stopped, serve_forever
from bert_keras.export.server_warmup import run_warmup
from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import ModelConfig, RetryPolicy, State, VersionPolicy, VersionStatus

Publish = Callable[..., pathlib.Path]
NO_RETRY = RetryPolicy(retries=0)


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[ModelServer, Client]]]:
    """Starts servers that end with the test."""
    started: list[tuple[ModelServer, Client]] = []

    def run(models: object, **options: object) -> tuple[ModelServer, Client]:
        server = ModelServer(models, host="127.0.0.1", poll_seconds=0.05, **options)  # type: ignore[arg-type]
        port = server.start(timeout=60)
        started.append((server, Client(f"127.0.0.1:{port}")))
        return started[-1]

    yield run
    for server, client in started:
        client.close()
        server.stop(grace=0)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def bias(client: Client, version: int | None = None) -> float:
    """10 for the first toy, 20 for the second."""
    answer = client.predict("toy", {"text": [""]}, version=version, timeout=60)
    return float(answer["scores"][0, 0])


def test_versions_are_swapped_under_load_without_a_failed_call(
    publish: Publish, start: Callable
) -> None:
    base = publish(1).parent
    _, client = start({"toy": base})
    answers: list[float] = []
    failures: list[Exception] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            try:
                answers.append(bias(client))
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answers) > 50)
    publish(2)
    wait_for(lambda: answers[-1] == 20.0)
    wait_for(lambda: client.status("toy")[1].state == State.END)
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert set(answers) == {10.0, 20.0}
    assert client.status("toy") == [
        VersionStatus(2, State.AVAILABLE),
        VersionStatus(1, State.END),
    ]
    with pytest.raises(StatusError, match=r"Specific\(toy, 1\)"):
        bias(client, version=1)


def test_a_torn_version_is_reported_and_the_old_one_stays(
    publish: Publish, start: Callable
) -> None:
    base = publish(1).parent
    _, client = start({"toy": base}, retry=NO_RETRY)
    torn = publish(2)
    wait_for(lambda: len(client.status("toy")) == 2)
    shutil.rmtree(torn)
    wait_for(lambda: client.status("toy")[0].state == State.END)
    (base / "3").mkdir()
    wait_for(lambda: client.status("toy")[0].version == 3)
    wait_for(lambda: client.status("toy")[0].state == State.END)
    status = client.status("toy", version=3)[0]
    assert status.code == Code.NOT_FOUND and "Could not find SavedModel" in status.message
    assert bias(client) == 10.0


def test_a_version_copied_slowly_is_tried_again(publish: Publish, start: Callable) -> None:
    base = publish(1).parent
    _, client = start({"toy": base}, retry=RetryPolicy(retries=50, seconds=0.1))
    (base / "2").mkdir()
    wait_for(lambda: len(client.status("toy")) == 2 and client.status("toy")[0].message != "")
    assert client.status("toy")[0].state == State.LOADING
    whole = publish(2, as_=99_000)
    shutil.copytree(whole / "variables", base / "2" / "variables")
    shutil.copy(whole / "saved_model.pb", base / "2" / "saved_model.pb")
    shutil.rmtree(whole)
    wait_for(lambda: bias(client) == 20.0)


def test_several_versions_and_labels(toys: dict[int, pathlib.Path], start: Callable) -> None:
    config = ModelConfig("toy", toys[1].parent, VersionPolicy(latest=None), {"stable": 1})
    server, client = start([config])
    assert (bias(client), bias(client, 1), bias(client, 2)) == (20.0, 10.0, 20.0)
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "toy"
    request.model_spec.version_label = "stable"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["a"]))
    response = client._prediction.Predict(request)
    assert response.model_spec.version.value == 1
    assert response.model_spec.version_label == ""


def predict_log(text: str, field: str = "text") -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "toy"
    log.predict_log.request.inputs[field].CopyFrom(tf.make_tensor_proto([text]))
    return log


def example_logs() -> list[prediction_log_pb2.PredictionLog]:
    example = tf.train.Example()
    example.features.feature["text"].bytes_list.value.append(b"a")
    logs = [prediction_log_pb2.PredictionLog() for _ in range(2)]
    classify, regress = logs[0].classify_log.request, logs[1].regress_log.request
    for name, request in (("classify", classify), ("regress", regress)):
        request.model_spec.signature_name = name
        request.input.example_list.examples.add().CopyFrom(example)
    return logs


def warm_up(folder: pathlib.Path, *logs: prediction_log_pb2.PredictionLog) -> pathlib.Path:
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return path


def test_warm_up_answers_every_kind_of_request(publish: Publish, start: Callable) -> None:
    folder = publish(1)
    with CppSession(folder) as session:
        assert run_warmup(session, folder) == 0
        warm_up(folder, predict_log("one"), predict_log("two"), *example_logs())
        assert run_warmup(session, folder) == 4
    _, client = start({"toy": folder.parent})
    assert bias(client) == 10.0


def test_warm_up_that_fails_fails_the_version(publish: Publish) -> None:
    folder = publish(1)
    path = warm_up(folder, predict_log("one", field="txt"))
    assert "Signature input alias: text" in start_error(folder.parent)
    path.write_bytes(path.read_bytes()[:-3])
    assert "Please verify your warmup data is in TFRecord format" in start_error(folder.parent)
    path.unlink()
    path.parent.rmdir()
    warm_up(folder, *[predict_log("x")] * 1001)
    assert "exceeds the maximum (1000)" in start_error(folder.parent)


def start_error(base: pathlib.Path, **options: object) -> str:
    """The one line that a start fails with."""
    server = ModelServer({"toy": base}, host="127.0.0.1", retry=NO_RETRY, **options)  # type: ignore[arg-type]
    with pytest.raises(UserError) as caught:
        server.start(timeout=options.get("timeout", 30))  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_starts_that_fail(publish: Publish, tmp_path: pathlib.Path) -> None:
    missing = tmp_path / "none"
    assert f"--model_base_path={missing}: no such folder" in start_error(missing)
    base = publish(1).parent
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = start_error(base, port=port)
    assert message.startswith(f"--port={port}: cannot listen on 127.0.0.1:{port}")
    (base / "2").mkdir()
    message = start_error(base)
    assert message.startswith("1 servable(s) did not become available: {{{name: toy version: 2}")
    assert "Could not find SavedModel" in message


def test_two_servers_do_not_share_a_port(publish: Publish, start: Callable) -> None:
    base = publish(1).parent
    server, _ = start({"toy": base})
    assert "cannot listen" in start_error(base, port=server._port)


def test_a_base_path_without_versions_is_waited_for(
    publish: Publish, tmp_path: pathlib.Path
) -> None:
    base = tmp_path / "toy"
    server = ModelServer({"toy": base}, host="127.0.0.1", poll_seconds=0.05)
    with pytest.raises(UserError, match="has no version under"):
        server.start(timeout=0.3)
    server = ModelServer({"toy": base}, host="127.0.0.1", poll_seconds=0.05)
    threading.Timer(0.3, publish, args=[1]).start()
    port = server.start(timeout=60)
    with Client(f"127.0.0.1:{port}") as client:
        assert bias(client) == 10.0
    server.stop(grace=0)


def test_interrupt_ends_a_start_that_waits(tmp_path: pathlib.Path) -> None:
    server = ModelServer({"toy": tmp_path}, host="127.0.0.1", poll_seconds=0.05)
    threading.Timer(0.2, server.interrupt).start()
    with pytest.raises(Stopped):
        server.start()


def test_stop_lets_calls_under_way_finish(publish: Publish, start: Callable) -> None:
    server, client = start({"toy": publish(1).parent})
    answers: list[float] = []

    def slow() -> None:
        answer = client.predict("toy", {"text": ["a"]}, signature_name="slow", timeout=60)
        answers.append(float(answer["bias"]))

    call = threading.Thread(target=slow)
    call.start()
    version = server._models["toy"]._serving[1]
    wait_for(lambda: version._users > 0)
    server.stop(grace=30)
    call.join()
    assert answers == [10.0]
    with pytest.raises(StatusError) as caught:
        client.status("toy", timeout=0.3)
    assert caught.value.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)


def test_serve_forever_needs_a_model() -> None:
    with pytest.raises(UserError, match="--model_base_path: expected a folder"):
        serve_forever(port=0)


SERVE = """
import sys
from absl import logging
logging.set_verbosity(logging.INFO)
from bert_keras.export.server import serve_forever
serve_forever(model_name="toy", model_base_path=sys.argv[1], port=0)
"""


def test_sigterm_drains_a_real_process(toys: dict[int, pathlib.Path]) -> None:
    """The call under way at the signal is answered, and the exit status is 0."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(toys[1].parent)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Running gRPC ModelServer at 0.0.0.0:"), line
        port = int(line.split(":")[-1].split()[0])
        with Client(f"127.0.0.1:{port}") as client:
            assert bias(client) == 20.0
            request = client._prediction.Predict.future(slow_request())
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert request.result(60).outputs["bias"].float_val[0] == 20.0
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert "Successfully loaded servable version {name: toy version: 2}" in errors
    assert "Unloaded servable version {name: toy version: 2}" in errors


def slow_request() -> object:
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "toy"
    request.model_spec.signature_name = "slow"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["a"] * 4))
    return request
