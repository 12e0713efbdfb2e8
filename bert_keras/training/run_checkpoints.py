"""The checkpoints of a run: written whole, summed, and read back from the newest whole one."""

from __future__ import annotations

import json
import os
import pathlib
import re
import zlib
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import tensorflow as tf
from absl import logging

from bert_keras.data.files import sync_folder, write_text
from bert_keras.errors import UserError

_BLOCK = 2**24
_FILE = re.compile(r"ckpt-(\d+)(?:[._].*)?")


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be used; says why in one line."""


class RunCheckpoints:
    """The numbered checkpoints of one run in a folder.

    Beside the files of `ckpt-8` lies `ckpt-8.json`, written last: their sizes and checksums, and
    whose they are. What it does not vouch for is not read. No list of the folder is kept: what
    lies there decides.

    Args:
        folder: where they lie.
        checkpoint: what they hold.
        run: what decides the outcome of the run; JSON values.
        keep: how many stay.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        checkpoint: tf.train.Checkpoint,
        run: Mapping[str, Any],
        keep: int = 2,
    ) -> None:
        self._folder = folder
        self._checkpoint = checkpoint
        self._run = run
        self._keep = keep

    def save(self, number: int, in_background: bool = False) -> None:
        """Writes a checkpoint; older ones go when it is on the disk.

        Args:
            in_background: by a thread of its own, from a copy of the variables.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        options = tf.train.CheckpointOptions(
            enable_async=in_background,
            experimental_write_callbacks=[lambda: self._vouch(number)],
        )
        self._checkpoint.write(str(self._folder / f"ckpt-{number}"), options=options)

    def sync(self) -> None:
        """Returns when all checkpoints are on the disk."""
        self._checkpoint.sync()

    def restore(self, accept: Callable[[], None] | None = None) -> int | None:
        """Reads the newest checkpoint that is whole, with a warning for each that is not.

        Args:
            accept: raises DamagedCheckpointError where what was read cannot be gone on from.

        Returns its number, None where there is no checkpoint at all.

        Raises:
            UserError: none of those there is whole.
        """
        problems = []
        for number in sorted(numbers_in(self._folder), reverse=True):
            try:
                self.read(number)
                if accept is not None:
                    accept()
            except DamagedCheckpointError as error:
                problems.append(str(error))
                continue
            for problem in problems:
                logging.warning("%s; going on from ckpt-%d", problem, number)
            return number
        if problems:
            raise UserError(f"{'; '.join(problems)}; {NO_WAY_ON}")
        return None

    def check(self, number: int) -> None:
        """Compares the files of one checkpoint with what is said of them.

        Raises:
            DamagedCheckpointError: it is not whole, or of another run.
        """
        prefix = self._folder / f"ckpt-{number}"
        described = _description(self._folder, number)
        if described["run"] != _as_json(self._run):
            raise DamagedCheckpointError(f"{prefix}: is of another run")
        for name, (size, checksum) in described["files"].items():
            path = self._folder / name
            if not path.is_file() or path.stat().st_size != size or _checksum(path) != checksum:
                raise DamagedCheckpointError(f"{path}: is damaged or missing")

    def read(self, number: int) -> None:
        """Gives the variables the values of one checkpoint.

        Raises:
            DamagedCheckpointError: it is not whole, of another run, or of another model.
        """
        self.check(number)
        prefix = self._folder / f"ckpt-{number}"
        try:
            status = self._checkpoint.read(str(prefix))
            status.assert_existing_objects_matched()
            # TensorFlow's own counter is in those alone that were written in the background.
            status.expect_partial()
        except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DamagedCheckpointError(f"{prefix}: cannot be read ({reason})") from None

    def _vouch(self, number: int) -> None:
        """Sees a checkpoint's files to the disk, describes them and lets older ones go."""
        paths = sorted(path for path in _files_of(self._folder, number) if path.is_file())
        paths = [path for path in paths if path.suffix != ".json"]
        with futures.ThreadPoolExecutor(1) as pool:
            # The disk and the processor at once.
            written = [pool.submit(_sync, path) for path in paths]
            sums = {path.name: (path.stat().st_size, _checksum(path)) for path in paths}
            for one in written:
                one.result()
        described = {"run": _as_json(self._run), "files": sums}
        text = json.dumps({**described, "checksum": _checksum_of(described)}, indent=1)
        write_text(self._folder / f"ckpt-{number}.json", text + "\n")
        sync_folder(self._folder)
        numbers = [old for old in numbers_in(self._folder) if old != number]
        whole = [old for old in sorted(numbers) if old < number and self._vouched(old)]
        for old in set(numbers) - set(whole[len(whole) - self._keep + 1 :]):
            for path in sorted(_files_of(self._folder, old), reverse=True):
                _remove(path)

    def _vouched(self, number: int) -> bool:
        try:
            return bool(_description(self._folder, number)["run"] == _as_json(self._run))
        except DamagedCheckpointError:
            return False


NO_WAY_ON = "copy whole ones back, or choose another --output_dir"


def numbers_in(folder: pathlib.Path) -> set[int]:
    """The numbers of the checkpoints of which any file is there."""
    if not folder.is_dir():
        return set()
    found = (_FILE.fullmatch(path.name) for path in folder.iterdir())
    return {int(match[1]) for match in found if match}


def run_of(folder: pathlib.Path) -> dict[str, Any] | None:
    """What the newest checkpoint that says so was made by; None where there are none.

    Raises:
        UserError: there are checkpoints, but none says whose it is.
    """
    problems = []
    for number in sorted(numbers_in(folder), reverse=True):
        try:
            run: dict[str, Any] = _description(folder, number)["run"]
            return run
        except DamagedCheckpointError as error:
            problems.append(str(error))
    if problems:
        raise UserError(f"{'; '.join(problems)}; {NO_WAY_ON}")
    return None


def _files_of(folder: pathlib.Path, number: int) -> list[pathlib.Path]:
    """All files of a checkpoint, those of a killed writer included."""
    matches = ((path, _FILE.fullmatch(path.name)) for path in folder.iterdir())
    return [path for path, match in matches if match and int(match[1]) == number]


def _description(folder: pathlib.Path, number: int) -> dict[str, Any]:
    """What `ckpt-N.json` says; a DamagedCheckpointError where it cannot be relied on."""
    path = folder / f"ckpt-{number}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        described = {"run": found["run"], "files": found["files"]}
        whole = found["checksum"] == _checksum_of(described)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole or not all(name.startswith(f"ckpt-{number}.") for name in described["files"]):
        raise DamagedCheckpointError(f"{path}: is damaged or missing")
    return described


def _as_json(run: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(run))
    return values


def _checksum_of(described: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(described, sort_keys=True).encode())


def _checksum(path: pathlib.Path) -> int:
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _sync(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _remove(path: pathlib.Path) -> None:
    """Removes a file, or the folder of parts that a killed writer left."""
    if path.is_dir():
        for part in path.iterdir():
            part.unlink(missing_ok=True)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
