"""Damages that accidents do to the files of a run, and what a folder holds."""

from __future__ import annotations

import pathlib
import random

DAMAGES = ("truncate", "empty", "flip", "delete", "swap")


def damage(path: pathlib.Path, kind: str, chance: random.Random, other: pathlib.Path) -> None:
    """Damages a file in one of the ways of DAMAGES; `swap` exchanges it with `other`."""
    whole = path.read_bytes()
    if kind == "truncate":
        path.write_bytes(whole[: chance.randrange(max(len(whole), 1))])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "flip":
        flipped = bytearray(whole)
        if flipped:
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
    elif kind == "delete":
        path.unlink()
    else:
        path.write_bytes(other.read_bytes())
        other.write_bytes(whole)


def snapshot(folder: pathlib.Path) -> dict[str, bytes]:
    """The contents of all files, by their paths in the folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
