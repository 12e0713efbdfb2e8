"""Writes a folder's files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator


@contextlib.contextmanager
def replacing_files(directory: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields an empty folder; what is written there moves to `directory` at the end.

    A new directory appears in one step. In one that exists, files of the same name are
    replaced one by one, each in one step, and the others stay. When the block raises or the
    process is killed inside it, `directory` is as before.
    """
    target = pathlib.Path(os.path.abspath(directory))
    exists = target.exists()
    # Inside one that exists: it may be a mount point or a link to another file system, from
    # where files could not be moved in one step.
    staging = target / ".partial" if exists else target.parent / f".{target.name}.partial"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        if not exists:
            staging.rename(target)
            return
        for path in sorted(staging.rglob("*")):
            place = target / path.relative_to(staging)
            if path.is_dir():
                place.mkdir(exist_ok=True)
            else:
                os.replace(path, place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
