"""Other models for a server that runs: what is loaded, kept, unloaded, labelled and refused."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from bert_keras.export.reload import ConfigFile, Reloader
from bert_keras.export.server import ModelServer
from bert_keras.export.server_services import find
from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import ModelConfig, ModelVersions, RetryPolicy, State


class Closable:
    """A session made of nothing."""

    def close(self) -> None:
        pass


class Shelf:
    """Folders of models under `base`; loading a name in `broken` fails."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.broken: set[str] = set()
        self.loads: list[tuple[str, int]] = []
        self.models: dict[str, ModelVersions] = {}

    def add(self, name: str, *versions: int) -> None:
        for version in versions:
            (self.base / name / str(version)).mkdir(parents=True)

    def make(self, config: ModelConfig) -> ModelVersions:
        return ModelVersions(config, self._load, RetryPolicy(0, 0.0))

    def _load(self, name: str, version: int, folder: pathlib.Path) -> Closable:
        self.loads.append((name, version))
        if name in self.broken:
            raise StatusError(Code.DATA_LOSS, "half a file")
        return Closable()

    def entry(self, name: str, more: str = "") -> str:
        base = f'base_path: "{self.base / name}"'
        return f'config {{ name: "{name}" {base} model_platform: "tensorflow" {more} }}'

    def config(self, *entries: str) -> model_server_config_pb2.ModelServerConfig:
        text = f"model_config_list {{ {' '.join(entries)} }}"
        return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())

    def available(self, name: str) -> list[int]:
        return [s.version for s in self.models[name].statuses() if s.state == State.AVAILABLE]


@pytest.fixture
def shelf(tmp_path: pathlib.Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def reloader(shelf: Shelf) -> Reloader:
    return Reloader(shelf.models, shelf.make)


def refused(reloader: Reloader, config: model_server_config_pb2.ModelServerConfig) -> StatusError:
    with pytest.raises(StatusError) as caught:
        reloader.apply(config)
    return caught.value


def test_the_whole_list_replaces_the_old_one(shelf: Shelf, reloader: Reloader) -> None:
    for name in "abc":
        shelf.add(name, 1)
    reloader.apply(shelf.config(shelf.entry("a"), shelf.entry("b")))
    reloader.apply(shelf.config(shelf.entry("b"), shelf.entry("c")))
    assert shelf.loads == [("a", 1), ("b", 1), ("c", 1)], "b is not loaded twice"
    assert [s.state for s in shelf.models["a"].statuses()] == [State.END]
    with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(a\)"):
        find(shelf.models, model_pb2.ModelSpec(name="a"))
    reloader.apply(shelf.config())
    assert [shelf.available(name) for name in "abc"] == [[], [], []]
    reloader.apply(shelf.config(shelf.entry("a")))
    assert shelf.available("a") == [1]


def test_the_version_policy_of_a_model_changes(shelf: Shelf, reloader: Reloader) -> None:
    shelf.add("a", 1, 2, 3)
    for policy, expected in [
        ("", [3]),
        ("model_version_policy { all {} }", [3, 2, 1]),
        ("model_version_policy { latest { num_versions: 2 } }", [3, 2]),
        ("model_version_policy { specific { versions: 1 } }", [1]),
    ]:
        reloader.apply(shelf.config(shelf.entry("a", policy)))
        assert shelf.available("a") == expected
    assert shelf.loads == [("a", 3), ("a", 2), ("a", 1), ("a", 1)]


def test_a_retired_model_goes_although_its_folder_is_gone(shelf: Shelf, reloader: Reloader) -> None:
    shelf.add("a", 1)
    reloader.apply(shelf.config(shelf.entry("a")))
    (shelf.base / "a").rename(shelf.base / "away")
    reloader.apply(shelf.config())
    assert shelf.available("a") == []


def test_refused_configs_change_nothing(shelf: Shelf, reloader: Reloader) -> None:
    shelf.add("a", 1)
    reloader.apply(shelf.config(shelf.entry("a")))
    error = refused(reloader, model_server_config_pb2.ModelServerConfig())
    assert error.code == Code.INVALID_ARGUMENT
    assert error.message == (
        "ServerModelConfig type not supported by HandleReloadConfigRequest."
        " Only ModelConfigList is currently supported"
    )
    twice = refused(reloader, shelf.config(shelf.entry("b"), shelf.entry("b")))
    assert twice.message == "Illegal to list model b multiple times in config list"
    relative = shelf.config('config { name: "b" base_path: "b" model_platform: "tensorflow" }')
    assert refused(reloader, relative).message.endswith("path or URI; got base_path()=b")
    assert shelf.available("a") == [1] and set(shelf.models) == {"a"}


def test_a_new_model_that_does_not_load(shelf: Shelf, reloader: Reloader) -> None:
    shelf.add("a", 1)
    shelf.add("b", 1)
    shelf.broken.add("b")
    error = refused(reloader, shelf.config(shelf.entry("a"), shelf.entry("b")))
    assert (error.code, error.message) == (
        Code.UNKNOWN,
        "1 model(s) did not become available: {{{name: b version: 1} due to error:"
        " DATA_LOSS: half a file}, }",
    )
    assert shelf.available("a") == [1]


def test_the_wait_for_a_model_ends_with_the_call(shelf: Shelf, reloader: Reloader) -> None:
    with pytest.raises(StatusError) as caught:
        reloader.apply(shelf.config(shelf.entry("a")), lambda: False)
    assert caught.value.code == Code.CANCELLED
    threading.Timer(0.1, lambda: shelf.add("a", 1)).start()
    reloader.apply(shelf.config(shelf.entry("a")))


@pytest.mark.parametrize("allow", [False, True])
def test_labels_name_versions_that_answer(shelf: Shelf, allow: bool) -> None:
    reloader = Reloader(shelf.models, shelf.make, allow)
    shelf.add("a", 1)

    def labelled(version: int) -> model_server_config_pb2.ModelServerConfig:
        label = f'version_labels {{ key: "stable" value: {version} }}'
        return shelf.config(shelf.entry("a", label))

    if allow:
        reloader.apply(labelled(7))
        assert shelf.models["a"].config.labels == {"stable": 7}
    else:
        assert refused(reloader, labelled(1)).code == Code.FAILED_PRECONDITION
        reloader.apply(shelf.config(shelf.entry("a")))
    reloader.apply(labelled(1))
    spec = model_pb2.ModelSpec(name="a", version_label="stable")
    with find(shelf.models, spec) as servable:
        assert servable.version == 1
    error = refused(reloader, labelled(2))
    assert (error.code, error.message) == (
        Code.FAILED_PRECONDITION,
        "Request to assign label to version 2 of model a, which is not currently available for"
        " inference",
    )
    assert shelf.models["a"].config.labels == {"stable": 1}, "labels change together or not"


def test_a_config_file_is_read_again(shelf: Shelf, reloader: Reloader) -> None:
    shelf.add("a", 1)
    path = shelf.base / "models.config"
    path.write_text("model_config_list { conf")
    config_file = ConfigFile(reloader, str(path))
    config_file.watch(0.01)
    time.sleep(0.05)
    path.write_text(str(shelf.config(shelf.entry("a"))))
    deadline = time.monotonic() + 10
    while not (shelf.models and shelf.available("a")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    config_file.stop()


def test_reloading_a_server(publish: Callable[..., pathlib.Path], tmp_path: pathlib.Path) -> None:
    base = publish(1).parent
    server = ModelServer({"toy": base}, host="127.0.0.1", poll_seconds=0)
    port = server.start(timeout=60)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            request = model_management_pb2.ReloadConfigRequest()
            request.config.model_config_list.config.add(
                name="other", base_path=str(base), model_platform="tensorflow"
            )
            assert stub.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
            assert server._models["other"].available() and not server._models["toy"].available()
            request.config.Clear()
            with pytest.raises(grpc.RpcError) as caught:
                stub.HandleReloadConfigRequest(request, timeout=60)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    finally:
        server.stop(grace=0)
