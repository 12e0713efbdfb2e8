"""The checkpoints of a run: written whole, summed, and read back from the newest whole one."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import zlib
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import tensorflow as tf
from absl import logging

from bert_keras.errors import UserError
from bert_keras.files import sync_folder, write_text

_BLOCK = 2**24
_NAME = re.compile(r"ckpt-(\d+)")
_WEIGHTS, _DESCRIPTION = "weights", "checkpoint.json"
# What is being written, or taken away.
_PARTIAL = ".partial"
NO_WAY_ON = "copy whole ones back, or choose another --output_dir"


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be used; says why in one line."""


class RunCheckpoints:
    """The numbered checkpoints of one run in a folder.

    Each is a folder, such as `ckpt-8`, that appears whole. In it `checkpoint.json` has the sizes
    and checksums of its files, and whose they are; what it does not vouch for is not read. No
    list of the checkpoints is kept: what lies there decides.

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
        self.sync()
        partial = self._folder / _PARTIAL
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        options = tf.train.CheckpointOptions(
            enable_async=in_background,
            experimental_write_callbacks=[lambda: self._finish(partial, number)],
        )
        self._checkpoint.write(str(partial / _WEIGHTS), options=options)

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
        folder = self._folder / f"ckpt-{number}"
        described = _description(folder)
        if described["run"] != _as_json(self._run):
            raise DamagedCheckpointError(f"{folder}: is of another run")
        for name, (size, checksum) in described["files"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size or _checksum(path) != checksum:
                raise DamagedCheckpointError(f"{path}: is damaged or missing")

    def read(self, number: int) -> None:
        """Gives the variables the values of one checkpoint.

        Raises:
            DamagedCheckpointError: it is not whole, of another run, or of another model.
        """
        self.check(number)
        folder = self._folder / f"ckpt-{number}"
        try:
            status = self._checkpoint.read(str(folder / _WEIGHTS))
            status.assert_existing_objects_matched()
            # TensorFlow's own counter is in those alone that were written in the background.
            status.expect_partial()
        except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DamagedCheckpointError(f"{folder}: cannot be read ({reason})") from None

    def _finish(self, partial: pathlib.Path, number: int) -> None:
        """Sees a checkpoint to the disk, gives it its name and lets older ones go."""
        paths = sorted(partial.iterdir())
        with futures.ThreadPoolExecutor(1) as pool:
            # The disk and the processor at once.
            written = [pool.submit(_sync, path) for path in paths]
            sums = {path.name: (path.stat().st_size, _checksum(path)) for path in paths}
            for one in written:
                one.result()
        described = {"run": _as_json(self._run), "files": sums}
        text = json.dumps({**described, "checksum": _checksum_of(described)}, indent=1)
        write_text(partial / _DESCRIPTION, text + "\n")
        folder = self._folder / f"ckpt-{number}"
        if folder.exists():
            # A damaged one: another would not be written anew.
            shutil.rmtree(folder)
        partial.rename(folder)
        sync_folder(self._folder)
        numbers = numbers_in(self._folder) - {number}
        whole = [old for old in sorted(numbers) if old < number and self._vouched(old)]
        for old in numbers - set(whole[len(whole) - self._keep + 1 :]):
            # In one step, so that no half of it is found.
            (self._folder / f"ckpt-{old}").rename(partial)
            shutil.rmtree(partial)

    def _vouched(self, number: int) -> bool:
        try:
            described = _description(self._folder / f"ckpt-{number}")
        except DamagedCheckpointError:
            return False
        return bool(described["run"] == _as_json(self._run))


def numbers_in(folder: pathlib.Path) -> set[int]:
    """The numbers of the checkpoints in a folder."""
    if not folder.is_dir():
        return set()
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return {int(match[1]) for match in found if match}


def run_of(folder: pathlib.Path) -> dict[str, Any] | None:
    """What the newest checkpoint that says so was made by; None where there are none.

    Raises:
        UserError: there are checkpoints, but none says whose it is.
    """
    problems = []
    for number in sorted(numbers_in(folder), reverse=True):
        try:
            run: dict[str, Any] = _description(folder / f"ckpt-{number}")["run"]
            return run
        except DamagedCheckpointError as error:
            problems.append(str(error))
    if problems:
        raise UserError(f"{'; '.join(problems)}; {NO_WAY_ON}")
    return None


def _description(folder: pathlib.Path) -> dict[str, Any]:
    """What a checkpoint says of itself; a DamagedCheckpointError where that is not whole."""
    path = folder / _DESCRIPTION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        described = {"run": found["run"], "files": found["files"]}
        whole = found["checksum"] == _checksum_of(described)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
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
