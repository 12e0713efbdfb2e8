"""A folder that one program at a time works in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from bert_keras.errors import UserError


@contextlib.contextmanager
def locked_folder(folder: pathlib.Path, taken: str) -> Iterator[None]:
    """Makes a folder if need be and holds it for the time of a `with` block.

    The lock is the system's: it ends with the process, however that ends, and leaves no file.

    Args:
        taken: what to say where another program holds it.

    Raises:
        UserError: `taken`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(taken) from None
        # Whoever held it may have taken it away.
        if not folder.exists() or os.fstat(lock).st_ino != folder.stat().st_ino:
            raise UserError(taken)
        yield
    finally:
        os.close(lock)
