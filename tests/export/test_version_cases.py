"""The cases of tensorflow/serving's `file_system_storage_path_source_test.cc`,
`availability_preserving_policy_test.cc` and `aspired_versions_manager_test.cc` that a client
sees, with sessions made of nothing."""

from __future__ import annotations

import pathlib
import threading
import time

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_keras.export.server_config import model_configs
from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import ModelConfig, ModelVersions, RetryPolicy, State


class Session:
    """Logs its end."""

    def __init__(self, log: list[str], version: int) -> None:
        self._log, self._version = log, version

    def close(self) -> None:
        self._log.append(f"unload {self._version}")


class Disk:
    """The folders of a model, and a loader that fails for those in `broken`."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.broken: set[int] = set()
        self.log: list[str] = []
        self.folders: dict[int, str] = {}

    def arrange(self, *names: object) -> None:
        """These folders, and no others, are there."""
        self.base.mkdir(exist_ok=True)
        wanted = {str(name) for name in names}
        for child in self.base.iterdir():
            if child.name not in wanted:
                child.rmdir()
        for name in wanted:
            (self.base / name).mkdir(exist_ok=True)

    def load(self, name: str, version: int, folder: pathlib.Path) -> Session:
        self.log.append(f"load {version}")
        if version in self.broken:
            raise StatusError(Code.INTERNAL, "Error on load.")
        self.folders[version] = folder.name
        return Session(self.log, version)

    def config(self, policy: str = "") -> ModelConfig:
        text = (
            f'config {{ name: "m" base_path: "{self.base}" model_platform: "tensorflow"'
            f" model_version_policy {{ {policy} }} }}"
        )
        parsed = text_format.Parse(text, model_server_config_pb2.ModelConfigList())
        (config,) = model_configs(parsed)
        return config

    def model(self, policy: str = "") -> ModelVersions:
        return ModelVersions(self.config(policy), self.load, RetryPolicy(0, 0.0))


@pytest.fixture
def disk(tmp_path: pathlib.Path) -> Disk:
    return Disk(tmp_path / "m")


def serving(model: ModelVersions) -> list[int]:
    return [s.version for s in model.statuses() if s.state == State.AVAILABLE]


MANY = ("non_numerical_child", 42, 33, 30, 21, 17)


@pytest.mark.parametrize(
    ("names", "policy", "expected"),
    [
        (("non_numerical_child",), "", {}),
        (MANY, "", {42: "42"}),
        (MANY, "latest {}", {42: "42"}),
        (MANY, "latest { num_versions: 3 }", {42: "42", 33: "33", 30: "30"}),
        (("non_numerical_child", 42, 17), "all {}", {42: "42", 17: "17"}),
        (MANY, "specific { versions: [17, 30] }", {30: "30", 17: "17"}),
        (
            (*MANY[:-1], "00017"),
            "specific { versions: [17, 30] }",
            {30: "30", 17: "00017"},
        ),
        ((20170111173521,), "all {}", {20170111173521: "20170111173521"}),
        ((0,), "", {0: "0"}),
    ],
)
def test_policies(disk: Disk, names: tuple, policy: str, expected: dict[int, str]) -> None:
    disk.arrange(*names)
    model = disk.model(policy)
    model.poll()
    assert disk.folders == expected
    assert serving(model) == [*expected]


def test_folders_of_the_same_version(disk: Disk) -> None:
    disk.arrange("non_numerical_child", "0001", "001", "00001")
    model = disk.model()
    model.poll()
    assert serving(model) == [1] and disk.log == ["load 1"]


def test_the_folder_appears_later(disk: Disk) -> None:
    model = disk.model()
    model.poll()
    assert model.statuses() == []
    disk.arrange(3)
    model.poll()
    assert serving(model) == [3]


def test_another_policy(disk: Disk) -> None:
    disk.arrange(1, "02", 3, 5, 8, 13)
    model = disk.model("latest { num_versions: 2 }")
    model.poll()
    assert serving(model) == [13, 8]
    model.config = disk.config("specific { versions: [2, 5] }")
    model.poll()
    assert serving(model) == [5, 2] and disk.folders[2] == "02"


def test_renamed_folders_are_unloaded(disk: Disk) -> None:
    disk.arrange(1, 2, 3, 5, 8)
    model = disk.model("all {}")
    model.poll()
    for version in (2, 5):
        (disk.base / str(version)).rename(disk.base / f"{version}.denied")
    (disk.base / "8").rmdir()
    model.poll()
    assert serving(model) == [3, 1]


@pytest.mark.parametrize(
    ("before", "after", "broken", "steps"),
    [
        pytest.param([], [4, 5], [], ["load 5", "load 4"], id="the highest is loaded first"),
        pytest.param([3, 4], [4, 5], [], ["unload 3", "load 5"], id="unloading comes first"),
        pytest.param([2], [], [], ["unload 2"], id="nothing is wanted"),
        pytest.param([1], [1], [], [], id="nothing to do"),
        pytest.param([1], [2], [2], ["load 2"], id="the only one stays"),
        pytest.param(
            [1], [2, 3], [2], ["load 3", "unload 1", "load 2"], id="one is there, one fails"
        ),
        pytest.param(
            [1, 2], [3, 4], [3, 4], ["unload 1", "load 4", "load 3"], id="one of two stays"
        ),
    ],
)
def test_steps(
    disk: Disk, before: list[int], after: list[int], broken: list[int], steps: list[str]
) -> None:
    disk.arrange(*before)
    model = disk.model("all {}")
    model.poll()
    disk.log.clear()
    disk.arrange(*after)
    disk.broken.update(broken)
    model.poll()
    assert disk.log == steps
    model.poll()
    assert disk.log == steps, "once is enough"


def test_a_version_that_fails_keeps_one_until_another_loads(disk: Disk) -> None:
    disk.arrange(0, 1)
    model = disk.model("all {}")
    model.poll()
    assert serving(model) == [1, 0]
    disk.broken.add(7)
    disk.arrange(7)
    model.poll()
    assert serving(model) == [1]
    disk.arrange(8)
    model.poll()
    assert serving(model) == [8]
    disk.arrange()
    model.poll()
    assert serving(model) == []


def test_the_states_of_a_version(disk: Disk) -> None:
    """What waits to be loaded is at its start; in use, it is not unloaded yet."""
    disk.arrange(6, 7)
    seen: list[dict[int, State]] = []
    load = disk.load

    def watching(name: str, version: int, folder: pathlib.Path) -> Session:
        seen.append({s.version: s.state for s in model.statuses()})
        return load(name, version, folder)

    model = ModelVersions(disk.config("all {}"), watching, RetryPolicy(0, 0.0))
    model.poll()
    assert seen == [
        {7: State.LOADING, 6: State.START},
        {7: State.AVAILABLE, 6: State.LOADING},
    ]
    with model.use(7):
        disk.arrange(6)
        unloading = threading.Thread(target=model.poll)
        unloading.start()
        wait_for(model, 7, State.UNLOADING)
    unloading.join()
    wait_for(model, 7, State.END)
    assert serving(model) == [6]


def wait_for(model: ModelVersions, version: int, state: State) -> None:
    deadline = time.monotonic() + 10
    while {s.version: s.state for s in model.statuses()}[version] != state:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("recovers", [False, True])
def test_tries(disk: Disk, recovers: bool) -> None:
    disk.arrange(7)
    disk.broken.add(7)

    def load(name: str, version: int, folder: pathlib.Path) -> Session:
        try:
            return disk.load(name, version, folder)
        finally:
            if recovers:
                disk.broken.clear()

    model = ModelVersions(disk.config(), load, RetryPolicy(1, 0.0))
    for _ in range(3):
        model.poll()
    assert disk.log == ["load 7"] * 2
    (status,) = model.statuses()
    if recovers:
        assert status.state == State.AVAILABLE
    else:
        assert (status.state, status.code, status.message) == (
            State.END,
            Code.INTERNAL,
            "Error on load.",
        )


def test_a_version_that_is_in_use_goes_and_returns(disk: Disk) -> None:
    """It is loaded anew when the last call of the old one has ended, and not before."""
    disk.arrange(7)
    model = disk.model()
    model.poll()
    with model.use(7):
        disk.arrange()
        first = threading.Thread(target=model.poll)
        first.start()
        wait_for(model, 7, State.UNLOADING)
        disk.arrange(7)
        second = threading.Thread(target=model.poll)
        second.start()
        time.sleep(0.05)
        assert disk.log == ["load 7"]
    first.join()
    second.join()
    assert disk.log == ["load 7", "unload 7", "load 7"]
    assert serving(model) == [7]
