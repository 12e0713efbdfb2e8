"""Writes a folder's files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from bert_keras.errors import UserError
from bert_keras.files import sync_folder, sync_tree

# What is being written, and what is whole and on its way to its place.
_PARTIAL, _WHOLE = ".partial", ".saved"


@contextlib.contextmanager
def replacing_files(directory: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields an empty folder; what is written there moves to `directory` at the end.

    A new directory appears in one step. In one that exists, files of the same name are
    replaced and the others stay. When the block raises or the process is killed inside it,
    `directory` is as before. Killed later, while files move, it has all of them nevertheless:
    `finish_replacing` moves the rest, which a reader calls first.
    """
    target = pathlib.Path(os.path.abspath(directory))
    exists = target.exists()
    if exists:
        finish_replacing(target)
    # Inside one that exists: it may be a mount point or a link to another file system, from
    # where files could not be moved in one step.
    staging = target / _PARTIAL if exists else target.parent / f".{target.name}{_PARTIAL}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        sync_tree(staging)
        staging.rename(target / _WHOLE if exists else target)
        sync_folder(target if exists else target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    finish_replacing(target)


def finish_replacing(directory: pathlib.Path) -> None:
    """Moves the files of a save that was killed while it moved them; does nothing else.

    Raises:
        UserError: the directory cannot be written to.
    """
    whole = directory / _WHOLE
    if not whole.is_dir():
        return
    try:
        for path in sorted(whole.rglob("*")):
            place = directory / path.relative_to(whole)
            if path.is_dir():
                place.mkdir(exist_ok=True)
            else:
                os.replace(path, place)
        sync_folder(directory)
        shutil.rmtree(whole)
    except FileNotFoundError:
        # Another program moves them too.
        pass
    except OSError as error:
        raise UserError(
            f"{directory}: a save was killed while it moved its files, and they cannot be moved "
            f"({error.strerror}); move those of {whole} to {directory}"
        ) from None
