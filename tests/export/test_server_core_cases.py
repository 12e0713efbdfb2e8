"""The cases of tensorflow/serving's `model_servers/server_core_test.cc` and
`get_model_status_impl_test.cc`: other models for a server that runs, over gRPC."""

from __future__ import annotations

import pathlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from bert_keras.export.server import ModelServer
from bert_keras.export.versions import RetryPolicy, State
from tests.export.example_models import refused

TENSORFLOW = 'model_platform: "tensorflow"'


class Core:
    """A server that starts without models, asked as a client asks it.

    Under `base` the folder `one` has version 123 of a model, `two` also version 124.
    """

    def __init__(self, base: pathlib.Path, channel: grpc.Channel) -> None:
        self.base = base
        self._model = model_service_pb2_grpc.ModelServiceStub(channel)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def entry(self, path: object = "one", name: str = "m", more: str = TENSORFLOW) -> str:
        return f'config {{ name: "{name}" base_path: "{self.base / str(path)}" {more} }}'

    def reload(self, *entries: str) -> None:
        """Returns when the call does, which must not fail."""
        self._model.HandleReloadConfigRequest(_reload(_list(*entries)), timeout=60)

    def refused_reload(self, *entries: str) -> tuple[str, str]:
        return self.refused_config(_list(*entries))

    def refused_config(self, config: str) -> tuple[str, str]:
        return refused(self._model.HandleReloadConfigRequest, _reload(config))

    def version(self, name: str = "m", **choice: Any) -> int:
        """Which version answers."""
        return self._prediction.Predict(_request(name, **choice)).model_spec.version.value

    def refused_version(self, name: str = "m", **choice: Any) -> tuple[str, str]:
        return refused(self._prediction.Predict, _request(name, **choice))

    def status(self, name: str = "m", **choice: Any) -> list[Any]:
        return list(self._model.GetModelStatus(_status(name, **choice)).model_version_status)

    def refused_status(self, **spec: Any) -> tuple[str, str]:
        request = get_model_status_pb2.GetModelStatusRequest(**spec)
        return refused(self._model.GetModelStatus, request)


def _list(*entries: str) -> str:
    return f"model_config_list {{ {' '.join(entries)} }}"


def _reload(text: str) -> model_management_pb2.ReloadConfigRequest:
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return model_management_pb2.ReloadConfigRequest(config=config)


def _request(name: str, **choice: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": name, **choice})
    request.inputs["x"].dtype = 1
    request.inputs["x"].float_val.append(2.0)
    return request


def _status(name: str, **choice: Any) -> get_model_status_pb2.GetModelStatusRequest:
    return get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name, **choice})


@pytest.fixture
def start(example_models: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Callable[..., Core]]:
    """Starts servers that end with the test."""
    model = example_models / "half_plus_two" / "00000123"
    for folder in ("one/123", "two/123", "two/124"):
        shutil.copytree(model, tmp_path / folder)
    started: list[tuple[ModelServer, grpc.Channel]] = []

    def run(**options: Any) -> Core:
        options = {"poll_seconds": 0.05, **options}
        server = ModelServer([], host="127.0.0.1", retry=RetryPolicy(0, 0.0), **options)
        channel = grpc.insecure_channel(f"127.0.0.1:{server.start(timeout=60)}")
        started.append((server, channel))
        return Core(tmp_path, channel)

    yield run
    for server, channel in started:
        channel.close()
        server.stop(grace=0)


@pytest.fixture
def core(start: Callable[..., Core]) -> Core:
    return start()


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_models_are_there_when_the_call_returns_and_go_and_return(core: Core) -> None:
    assert core.refused_version()[0] == "NOT_FOUND"
    for _ in range(2):
        core.reload(core.entry())
        assert core.version() == core.version(version={"value": 123}) == 123
        (status,) = core.status()
        assert (status.version, status.state, status.status.error_code) == (123, State.AVAILABLE, 0)
        core.reload()
        wait_for(lambda: core.status()[0].state == State.END)
        assert core.refused_version()[0] == "NOT_FOUND"


def test_the_base_path_of_a_model_changes(core: Core) -> None:
    core.reload(core.entry("one"))
    assert core.version() == 123
    core.reload(core.entry("two"))
    wait_for(lambda: core.version() == 124)
    core.reload(core.entry("one"))
    wait_for(lambda: core.version() == 123)


@pytest.mark.parametrize(("seconds", "expected"), [(0.02, 124), (0.0, 123)])
def test_folders_are_polled_or_not(
    start: Callable[..., Core], seconds: float, expected: int
) -> None:
    """PollFilesystemOnlyOnce of `file_system_storage_path_source_test.cc`."""
    core = start(poll_seconds=seconds)
    core.reload(core.entry("one"))
    (core.base / "two" / "124").rename(core.base / "one" / "124")
    deadline = time.monotonic() + (30 if seconds else 0.3)
    while core.version() == 123 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert core.version() == expected


def test_paths_are_absolute(core: Core) -> None:
    relative = f'config {{ name: "r" base_path: "one" {TENSORFLOW} }}'
    for entries in ((relative,), (core.entry(), relative)):
        assert core.refused_reload(*entries) == (
            "INVALID_ARGUMENT",
            "Expected model r to have an absolute path or URI; got base_path()=one",
        )
        assert core.refused_version()[0] == "NOT_FOUND"
    core.reload(core.entry())
    assert core.version() == 123


def test_a_model_that_does_not_load(core: Core) -> None:
    (core.base / "torn" / "7").mkdir(parents=True)
    code, message = core.refused_reload(core.entry("torn", "t"), core.entry())
    assert code == "UNKNOWN"
    assert message.startswith(
        "1 model(s) did not become available: {{{name: t version: 7} due to error: NOT_FOUND: "
    )
    assert message.endswith("}, }")
    (status,) = core.status("t")
    assert (status.version, status.state, status.status.error_code) == (7, State.END, 5)
    assert "Could not find SavedModel" in status.status.error_message
    assert core.version() == 123


def test_a_custom_config(core: Core) -> None:
    core.reload(core.entry())
    assert core.refused_config("custom_model_config {}") == (
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest."
        " Only ModelConfigList is currently supported",
    )
    assert core.version() == 123


def test_the_old_way_to_name_the_platform(core: Core) -> None:
    core.reload(core.entry(more="model_type: TENSORFLOW"))
    assert core.version() == 123


BOTH = "ModelServerConfig::model_type (deprecated)", "ModelServerConfig::model_platform"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (f"model_type: TENSORFLOW {TENSORFLOW}", "Illegal setting both {} and {}, model name is m"),
        ("", "Illegal setting neither {} nor {}, model name is m"),
        ("model_type: OTHER", "ModelServerConfig::model_type choice 2 not supported."),
        ('model_platform: "other"', "Model m requests unsupported platform other"),
    ],
)
def test_platforms_that_are_refused(core: Core, more: str, message: str) -> None:
    expected = ("INVALID_ARGUMENT", message.format(*BOTH))
    assert core.refused_reload(core.entry(more=more)) == expected
    assert core.refused_version()[0] == "NOT_FOUND"


def test_the_platform_of_a_model_stays(core: Core) -> None:
    core.reload(core.entry())
    assert core.refused_reload(core.entry(more='model_platform: "other"')) == (
        "INVALID_ARGUMENT",
        "Illegal to change a model's platform. For model m platform was tensorflow and new"
        " platform requested is other",
    )
    assert core.version() == 123


def test_a_name_comes_once(core: Core) -> None:
    assert core.refused_reload(core.entry(), core.entry("two")) == (
        "INVALID_ARGUMENT",
        "Illegal to list model m multiple times in config list",
    )


def test_some_models_stay(core: Core) -> None:
    core.reload(core.entry(name="a"), core.entry(name="b"))
    assert core.refused_version("c")[0] == "NOT_FOUND"
    core.reload(core.entry(name="b"), core.entry(name="c"))
    wait_for(lambda: core.status("a")[0].state == State.END)
    assert core.refused_version("a")[0] == "NOT_FOUND"
    assert core.version("b") == core.version("c") == 123


def labelled(core: Core, **labels: int) -> str:
    """Both versions, with labels."""
    entries = (
        f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items()
    )
    return core.entry(
        "two", more=f"{TENSORFLOW} model_version_policy {{ all {{}} }}" + " ".join(entries)
    )


UNAVAILABLE = (
    "FAILED_PRECONDITION",
    "Request to assign label to version 7 of model m, which is not currently available for"
    " inference",
)


def test_versions_and_labels(core: Core) -> None:
    core.reload(labelled(core))
    assert core.version() == 124
    assert core.version(version={"value": 123}) == 123
    core.reload(labelled(core, A=123, B=124))
    assert core.version(version_label="A") == 123
    assert core.version(version_label="B") == 124
    assert core.refused_version(version_label="none") == (
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: none",
    )


def test_labels_come_after_the_versions_that_they_name(core: Core) -> None:
    """A version that the same config loads is not there yet when its labels are looked at."""
    code, _ = core.refused_reload(labelled(core, A=123))
    assert code == "FAILED_PRECONDITION"
    assert core.refused_version()[0] == "NOT_FOUND", "nothing was loaded"


def test_a_label_of_a_version_that_is_not_there(start: Callable[..., Core]) -> None:
    for allowed in (False, True):
        core = start(allow_labels=allowed)
        core.reload(labelled(core))
        if allowed:
            core.reload(labelled(core, nice_try=7))
            assert core.refused_version(version_label="nice_try") == (
                "NOT_FOUND",
                "Servable not found for request: Specific(m, 7)",
            )
        else:
            assert core.refused_reload(labelled(core, nice_try=7)) == UNAVAILABLE


def test_a_label_does_not_move_to_a_version_that_is_not_there(start: Callable[..., Core]) -> None:
    core = start(allow_labels=True)
    core.reload(labelled(core))
    core.reload(labelled(core, A=123, B=124))
    assert core.refused_reload(labelled(core, A=7, B=124)) == UNAVAILABLE
    assert core.version(version_label="A") == 123


def test_status(core: Core) -> None:
    core.reload(
        core.entry(
            "two",
            more=f"{TENSORFLOW} model_version_policy {{ specific {{ versions: [123, 124] }} }}",
        )
    )
    wait_for(lambda: len(core.status()) == 2)
    for status in core.status():
        assert (status.status.error_code, status.status.error_message) == (0, "")
    assert [status.version for status in core.status()] == [124, 123]
    (status,) = core.status(version={"value": 123})
    assert (status.version, status.status.error_code, status.status.error_message) == (123, 0, "")


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({}, "INVALID_ARGUMENT", "Missing ModelSpec"),
        ({"model_spec": {}}, "NOT_FOUND", "Could not find any versions of model "),
        (
            {"model_spec": {"name": "none"}},
            "NOT_FOUND",
            "Could not find any versions of model none",
        ),
        (
            {"model_spec": {"name": "m", "version": {"value": 7}}},
            "NOT_FOUND",
            "Could not find version 7 of model m",
        ),
    ],
)
def test_no_status(core: Core, spec: dict, code: str, message: str) -> None:
    core.reload(core.entry())
    assert core.refused_status(**spec) == (code, message)
