"""Files and folders that are either whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file to write that takes its name when the block ends.

    Until then, and for ever where the block raises or the process is killed, what was there
    before stays. What is no file, such as a pipe, is written to at once.

    Raises:
        OSError: with the path, also where the disk is full.
    """
    place = pathlib.Path(os.path.realpath(path))
    with _named(place):
        if place.exists() and not place.is_file():
            with open(place, "wb") as file:
                yield file
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.partial")
        try:
            with open(partial, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if place.exists():
                shutil.copymode(place, partial)
            os.replace(partial, place)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(place.parent)


@contextlib.contextmanager
def _named(path: pathlib.Path) -> Iterator[None]:
    """Gives errors of writing, which do not say where, the path."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file so that a kill at any moment leaves the old one or the new one."""
    with whole_file(path) as file:
        # A lone surrogate, which has no UTF-8, becomes JSON's own escape for it.
        file.write(text.encode("utf-8", "backslashreplace"))


def sync_folder(folder: pathlib.Path) -> None:
    """Sees to the disk which files a folder has."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_tree(folder: pathlib.Path) -> None:
    """Sees all that a folder holds to the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def write_json(path: pathlib.Path, values: Mapping[str, Any]) -> None:
    """Writes an object as indented JSON."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def write_json_lines(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one object a line."""
    write_text(path, "".join(_json_line(row) for row in rows))


def _json_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=repr) + "\n"
