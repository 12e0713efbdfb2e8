"""Which versions are loaded, kept and unloaded, poll by poll, with sessions made of nothing."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable

import pytest

from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import (
    ModelConfig,
    ModelVersions,
    RetryPolicy,
    State,
    VersionPolicy,
    VersionStatus,
)


class FakeSession:
    """A session that knows whether it is open, and that no two are loaded out of order."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class Disk:
    """A base path, and a loader that fails for the versions in `broken`."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.broken: dict[int, StatusError | Exception] = {}
        self.log: list[tuple[str, int]] = []
        self.sessions: dict[int, FakeSession] = {}

    def add(self, name: object) -> None:
        (self.base / str(name)).mkdir(parents=True)

    def load(self, name: str, version: int, folder: pathlib.Path) -> FakeSession:
        assert name == "m" and folder.parent == self.base
        self.log.append(("load", version))
        if version in self.broken:
            raise self.broken[version]
        session = self.sessions[version] = FakeSession()
        return session

    def model(self, policy: VersionPolicy | None = None, retries: int = 0) -> ModelVersions:
        config = ModelConfig("m", self.base, policy or VersionPolicy())
        return ModelVersions(config, self.load, RetryPolicy(retries, seconds=0.02))


@pytest.fixture
def disk(tmp_path: pathlib.Path) -> Disk:
    return Disk(tmp_path / "m")


def serving(model: ModelVersions) -> list[int]:
    return [s.version for s in model.statuses() if s.state == State.AVAILABLE]


def newest(model: ModelVersions) -> int:
    with model.use() as servable:
        return servable.version


def test_the_newest_number_is_served(disk: Disk) -> None:
    for name in ("2", "0010", "9", "10.tmp", "tmp-11", "models.config", str(2**64), "１２"):
        disk.add(name)
    model = disk.model()
    model.poll()
    assert disk.log == [("load", 10)]
    assert newest(model) == 10
    assert model.statuses() == [VersionStatus(10, State.AVAILABLE)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (VersionPolicy(latest=2), [4, 3]),
        (VersionPolicy(latest=None), [4, 3, 1]),
        (VersionPolicy(specific=(1, 3, 99)), [3, 1]),
    ],
)
def test_policies(disk: Disk, policy: VersionPolicy, expected: list[int]) -> None:
    for version in (1, 3, 4):
        disk.add(version)
    model = disk.model(policy)
    model.poll()
    assert serving(model) == expected
    with model.use(expected[-1]) as servable:
        assert servable.version == expected[-1]


def test_a_new_version_is_loaded_before_the_old_one_goes(disk: Disk) -> None:
    disk.add(1)
    model = disk.model()
    model.poll()
    old = disk.sessions[1]
    still_open_during_load: list[bool] = []
    load = disk.load

    def watching(name: str, version: int, folder: pathlib.Path) -> FakeSession:
        still_open_during_load.append(not old.closed and newest(model) == 1)
        return load(name, version, folder)

    model._load = watching  # type: ignore[assignment]
    disk.add(2)
    model.poll()
    assert still_open_during_load == [True]
    assert newest(model) == 2 and old.closed
    assert model.statuses() == [VersionStatus(2, State.AVAILABLE), VersionStatus(1, State.END)]
    with pytest.raises(StatusError, match=r"Specific\(m, 1\)"):
        model.use(1)


def test_calls_under_way_keep_their_version(disk: Disk) -> None:
    disk.add(1)
    model = disk.model()
    model.poll()
    disk.add(2)
    with model.use() as servable:
        poller = threading.Thread(target=model.poll)
        poller.start()
        wait_for(lambda: newest(model) == 2)
        assert model.statuses()[1] == VersionStatus(1, State.UNLOADING)
        assert not servable.session.closed  # type: ignore[attr-defined]
    poller.join(5)
    assert disk.sessions[1].closed and model.statuses()[1].state == State.END


def test_a_version_that_fails_keeps_the_old_one_and_is_reported(disk: Disk) -> None:
    disk.add(1)
    model = disk.model()
    model.poll()
    disk.broken[2] = StatusError(Code.NOT_FOUND, "Could not find SavedModel")
    disk.add(2)
    for _ in range(3):
        model.poll()
    assert disk.log == [("load", 1), ("load", 2)]
    assert newest(model) == 1
    failed = VersionStatus(2, State.END, Code.NOT_FOUND, "Could not find SavedModel")
    assert model.statuses() == [failed, VersionStatus(1, State.AVAILABLE)]
    disk.add(3)
    model.poll()
    assert newest(model) == 3 and disk.sessions[1].closed


def test_a_version_put_back_is_tried_again(disk: Disk) -> None:
    disk.broken[1] = ValueError("torn file")
    disk.add(1)
    model = disk.model()
    model.poll()
    assert model.gave_up() and model.settled()
    assert model.statuses()[0].message == "ValueError: torn file"
    (disk.base / "1").rmdir()
    model.poll()
    assert not model.gave_up()
    disk.broken.clear()
    disk.add(1)
    model.poll()
    assert newest(model) == 1


def test_retries_wait_and_end(disk: Disk) -> None:
    disk.broken[1] = StatusError(Code.DATA_LOSS, "half a file")
    disk.add(1)
    model = disk.model(retries=2)
    model.poll()
    model.poll()
    assert len(disk.log) == 1, "the second try came without a pause"
    assert not model.settled() and not model.gave_up()
    assert model.statuses()[0].state == State.LOADING
    time.sleep(0.03)
    model.poll()
    assert len(disk.log) == 2
    time.sleep(0.03)
    model.poll()
    assert len(disk.log) == 3 and model.gave_up()
    time.sleep(0.03)
    model.poll()
    assert len(disk.log) == 3


def test_a_retry_that_succeeds(disk: Disk) -> None:
    disk.broken[1] = StatusError(Code.NOT_FOUND, "not there yet")
    disk.add(1)
    model = disk.model(retries=1)
    model.poll()
    disk.broken.clear()
    time.sleep(0.03)
    model.poll()
    assert model.statuses() == [VersionStatus(1, State.AVAILABLE)]


def test_an_older_version_returns_when_the_newest_is_removed(disk: Disk) -> None:
    disk.add(1)
    disk.add(2)
    model = disk.model()
    model.poll()
    (disk.base / "2").rmdir()
    model.poll()
    assert newest(model) == 1
    assert disk.sessions[2].closed
    assert disk.log == [("load", 2), ("load", 1)]


def test_an_empty_folder_unloads_and_a_missing_one_changes_nothing(disk: Disk) -> None:
    disk.add(1)
    model = disk.model()
    model.poll()
    disk.base.rename(disk.base.with_name("away"))
    model.poll()
    assert newest(model) == 1
    disk.base.mkdir()
    model.poll()
    assert disk.sessions[1].closed
    with pytest.raises(StatusError) as caught:
        model.use()
    assert caught.value.code == Code.NOT_FOUND
    assert caught.value.message == "Servable not found for request: Latest(m)"


def test_close_unloads_everything(disk: Disk) -> None:
    disk.add(1)
    disk.add(2)
    model = disk.model(VersionPolicy(latest=None))
    model.poll()
    model.close()
    assert all(session.closed for session in disk.sessions.values())
    model.close()


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
