"""The versions of one model on disk and in memory: which to load, serve and unload.

`<base path>/<whole number>/saved_model.pb`, polled; a version is loaded before the one that it
replaces is unloaded, and calls that are under way end on the version that they began with.
The rules are those of tensorflow/serving's FileSystemStoragePathSource and
AvailabilityPreservingPolicy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterator

from absl import logging

from bert_keras.export.sessions import Session
from bert_keras.export.status import Code, StatusError

_INT64 = range(-(2**63), 2**63)


class State(enum.IntEnum):
    """The life of a version; the numbers are those of ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """Where a version stands; a `code` other than OK says why it could not be loaded."""

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Which versions on disk to serve: the newest `latest`, or `specific` ones, or all.

    `latest` of None and no `specific` ones means all; 0 means none.
    """

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    def choose(self, found: list[int]) -> list[int]:
        """The versions to serve among those found, newest first."""
        newest_first = sorted(found, reverse=True)
        if self.specific:
            return [version for version in newest_first if version in self.specific]
        return newest_first if self.latest is None else newest_first[: self.latest]


_NO_VERSION = VersionPolicy(latest=0)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model to serve: its name, the folder of its versions, and which of them."""

    name: str
    base_path: pathlib.Path
    policy: VersionPolicy = VersionPolicy()
    labels: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How often, and after how many seconds, to try again to load a version.

    A folder that is copied into place, rather than renamed, is incomplete when it is first
    seen; trying again is what makes it load.
    """

    retries: int = 5
    seconds: float = 1.0


class Servable:
    """A loaded version, and how many calls are using it."""

    def __init__(self, version: int, session: Session) -> None:
        self.version = version
        self.session = session
        self._free = threading.Condition()
        self._users = 0

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[Servable]:
        try:
            yield self
        finally:
            with self._free:
                self._users -= 1
                self._free.notify_all()

    def use(self) -> contextlib.AbstractContextManager[Servable]:
        """Holds the version in memory for the time of a `with` block."""
        with self._free:
            self._users += 1
        return self._in_use()

    def close(self) -> None:
        """Frees the model when the last call that uses it has ended."""
        with self._free:
            self._free.wait_for(lambda: not self._users)
        self.session.close()


# Loads a folder: (model name, version, folder) -> a session that answers.
Loader = Callable[[str, int, pathlib.Path], Session]


@dataclasses.dataclass
class _Failure:
    attempts: int
    next_attempt: float | None


class ModelVersions:
    """The versions of one model.

    All methods may be called from any thread. `config` may be replaced by another of the same
    name: the next poll goes by it, and versions that are loaded and still wanted stay.
    """

    def __init__(self, config: ModelConfig, load: Loader, retry: RetryPolicy) -> None:
        self.config = config
        self._load = load
        self._retry = retry
        self._lock = threading.Lock()
        # One poll at a time, which may take as long as a load.
        self._polling = threading.Lock()
        self._serving: dict[int, Servable] = {}
        self._statuses: dict[int, VersionStatus] = {}
        self._failures: dict[int, _Failure] = {}
        self._last_complaint = ""

    def use(self, version: int | None = None) -> contextlib.AbstractContextManager[Servable]:
        """The asked version, or the newest that is loaded, for the time of a `with` block.

        Raises:
            StatusError: NOT_FOUND.
        """
        name = self.config.name
        with self._lock:
            if version is None:
                if not self._serving:
                    raise not_found(name)
                return self._serving[max(self._serving)].use()
            if version not in self._serving:
                raise not_found(name, version)
            return self._serving[version].use()

    def statuses(self) -> list[VersionStatus]:
        """Every version seen since the start, newest first."""
        with self._lock:
            return [self._statuses[version] for version in sorted(self._statuses, reverse=True)]

    def available(self) -> bool:
        """Whether any version answers."""
        with self._lock:
            return bool(self._serving)

    def gave_up(self) -> bool:
        """Whether no version answers and every one found has failed for good."""
        with self._lock:
            final = [failure.next_attempt is None for failure in self._failures.values()]
            return not self._serving and any(final) and all(final)

    def settled(self) -> bool:
        """Whether no version waits to be tried again."""
        with self._lock:
            return all(failure.next_attempt is None for failure in self._failures.values())

    def poll(self) -> None:
        """Looks at the folder, then loads and unloads until all is as it should be."""
        with self._polling:
            folders = {} if self.retired() else self._find()
            if folders is not None:
                self._arrange(folders)

    def retire(self) -> None:
        """Serves nothing from the next poll on; the state of its versions stays known."""
        self.config = dataclasses.replace(self.config, policy=_NO_VERSION, labels={})

    def retired(self) -> bool:
        """Whether it is to serve nothing."""
        return self.config.policy == _NO_VERSION

    def close(self) -> None:
        """Unloads everything, once the calls that are under way have ended."""
        self.retire()
        self.poll()

    def _arrange(self, folders: dict[int, pathlib.Path]) -> None:
        aspired = self.config.policy.choose(list(folders))
        for version in set(self._failures) - set(aspired):
            # Taken away and put back, it is tried again.
            with self._lock:
                del self._failures[version]
        for version in aspired:
            if version not in self._serving and version not in self._failures:
                self._set(VersionStatus(version, State.START))
        while True:
            unload = self._next_to_unload(aspired)
            if unload is not None:
                self._unload(unload)
                continue
            load = self._next_to_load(aspired)
            if load is None or self.retired():
                return
            self._try_load(load, folders[load])

    def _find(self) -> dict[int, pathlib.Path] | None:
        """The version folders; None if the base path cannot be read, which changes nothing."""
        base = self.config.base_path
        try:
            children = sorted(base.iterdir())
        except OSError as error:
            self._complain(
                f"Could not find base path {base} for servable {self.config.name}"
                f" with error {error.strerror}"
            )
            return None
        folders: dict[int, pathlib.Path] = {}
        for child in children:
            if re.fullmatch(r"[+-]?[0-9]+", child.name) and int(child.name) in _INT64:
                folders[int(child.name)] = child
        if folders:
            self._last_complaint = ""
        else:
            self._complain(
                f"No versions of servable {self.config.name} found under base path {base}."
                " A version is a folder named with a whole number, such as 1"
            )
        return folders

    def _complain(self, message: str) -> None:
        if message != self._last_complaint:
            logging.warning("%s", message)
            self._last_complaint = message

    def _next_to_unload(self, aspired: list[int]) -> int | None:
        retired = sorted(set(self._serving) - set(aspired))
        replaced = not aspired or any(version in self._serving for version in aspired)
        return retired[0] if retired and (replaced or len(retired) > 1) else None

    def _next_to_load(self, aspired: list[int]) -> int | None:
        now = time.monotonic()
        for version in aspired:
            failure = self._failures.get(version)
            due = failure is None or (
                failure.next_attempt is not None and failure.next_attempt <= now
            )
            if version not in self._serving and due:
                return version
        return None

    def _try_load(self, version: int, folder: pathlib.Path) -> None:
        name = self.config.name
        self._set(VersionStatus(version, State.LOADING))
        logging.info("Loading servable {name: %s version: %d} from %s", name, version, folder)
        started = time.monotonic()
        try:
            session = self._load(name, version, folder)
        except StatusError as error:
            self._failed(version, error)
            return
        except Exception as error:
            self._failed(version, StatusError(Code.INTERNAL, f"{type(error).__name__}: {error}"))
            return
        with self._lock:
            self._failures.pop(version, None)
            self._serving[version] = Servable(version, session)
            self._statuses[version] = VersionStatus(version, State.AVAILABLE)
        logging.info(
            "Successfully loaded servable version {name: %s version: %d} in %.1f s",
            name, version, time.monotonic() - started,
        )  # fmt: skip

    def _failed(self, version: int, error: StatusError) -> None:
        name = self.config.name
        with self._lock:
            previous = self._failures.get(version)
            attempts = previous.attempts + 1 if previous else 1
            final = attempts > self._retry.retries
            next_attempt = None if final else time.monotonic() + self._retry.seconds
            self._failures[version] = _Failure(attempts, next_attempt)
            state = State.END if final else State.LOADING
            self._statuses[version] = VersionStatus(version, state, error.code, error.message)
        logging.error(
            "Loading servable {name: %s version: %d} failed (attempt %d of %d): %s",
            name, version, attempts, self._retry.retries + 1, error,
        )  # fmt: skip

    def _unload(self, version: int) -> None:
        with self._lock:
            servable = self._serving.pop(version)
            self._statuses[version] = VersionStatus(version, State.UNLOADING)
        servable.close()
        self._set(VersionStatus(version, State.END))
        logging.info("Unloaded servable version {name: %s version: %d}", self.config.name, version)

    def _set(self, status: VersionStatus) -> None:
        with self._lock:
            self._statuses[status.version] = status


def not_found(name: str, version: int | None = None) -> StatusError:
    """The error for a model, or a version of it, that is not served."""
    which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return StatusError(Code.NOT_FOUND, f"Servable not found for request: {which}")
