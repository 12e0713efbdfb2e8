"""Damages files as accidents do: cut, garbled, of wrong types, of other encodings, too large."""

from __future__ import annotations

import json
import pathlib
import random
import shutil
from collections.abc import Callable, Iterator
from typing import Any

# Text, and values of JSON, of the wrong kind in most places.
_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2**70,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "café",
    "a\ud800",
    "x" * 50_000,
    [],
    [[]],
    {},
    {"a": {"b": 1}},
]
_BYTES = [b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\r", b"\t", b'"', b","]
_BYTES += [b"{", b"}", b"]", b"[", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"1e999", b"NaN"]


def mutate(path: pathlib.Path, chance: random.Random) -> str:
    """Damages a file, or one file of a folder, and returns what was done to which."""
    if path.is_dir():
        path = chance.choice(sorted(file for file in path.rglob("*") if file.is_file()))
    kinds = [*_OF_BYTES, *_OF_FILES]
    if path.suffix in (".json", ".jsonl"):
        kinds += [_json_value] * len(kinds)
    if path.suffix == ".safetensors":
        kinds += [_safetensors_header] * len(kinds)
    kind = chance.choice(kinds)
    kind(path, chance)
    return f"{kind.__name__.strip('_')} of {path.name}"


# Bytes.


def _change(path: pathlib.Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def _truncate(path: pathlib.Path, chance: random.Random) -> None:
    _change(path, lambda raw: raw[: chance.randrange(len(raw) + 1)])


def _delete_slice(path: pathlib.Path, chance: random.Random) -> None:
    def change(raw: bytes) -> bytes:
        begin = chance.randrange(len(raw) + 1)
        return raw[:begin] + raw[begin + chance.randrange(1, 200) :]

    _change(path, change)


def _repeat_slice(path: pathlib.Path, chance: random.Random) -> None:
    def change(raw: bytes) -> bytes:
        begin = chance.randrange(len(raw) + 1)
        return raw[:begin] + raw[begin : begin + 80] * chance.choice([2, 50]) + raw[begin:]

    _change(path, change)


def _garble(path: pathlib.Path, chance: random.Random) -> None:
    def change(raw: bytes) -> bytes:
        garbled = bytearray(raw)
        for _ in range(chance.choice([1, 3, 30]) if raw else 0):
            garbled[chance.randrange(len(raw))] = chance.randrange(256)
        return bytes(garbled)

    _change(path, change)


def _insert(path: pathlib.Path, chance: random.Random) -> None:
    def change(raw: bytes) -> bytes:
        begin = chance.randrange(len(raw) + 1)
        return raw[:begin] + chance.choice(_BYTES) + raw[begin:]

    _change(path, change)


def _other_encoding(path: pathlib.Path, chance: random.Random) -> None:
    encoding = chance.choice(["utf-16", "utf-32", "utf-8-sig", "cp1252"])
    _change(path, lambda raw: (raw.decode("latin-1") + "é\n").encode(encoding, "replace"))


def _swap_lines(path: pathlib.Path, chance: random.Random) -> None:
    def change(raw: bytes) -> bytes:
        lines = raw.split(b"\n")
        chance.shuffle(lines)
        return b"\n".join(lines)

    _change(path, change)


def _long_line(path: pathlib.Path, chance: random.Random) -> None:
    def change(raw: bytes) -> bytes:
        begin = chance.randrange(len(raw) + 1)
        return raw[:begin] + chance.choice([b"x", b"x ", b"[", b'"']) * 100_000 + raw[begin:]

    _change(path, change)


_OF_BYTES = [
    _truncate,
    _delete_slice,
    _repeat_slice,
    _garble,
    _insert,
    _other_encoding,
    _swap_lines,
    _long_line,
]


# Whole files.


def _empty(path: pathlib.Path, chance: random.Random) -> None:
    path.write_bytes(b"")


def _remove(path: pathlib.Path, chance: random.Random) -> None:
    path.unlink()


def _become_folder(path: pathlib.Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _become_loop(path: pathlib.Path, chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _become_binary(path: pathlib.Path, chance: random.Random) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chance.randbytes(300))


_OF_FILES = [_empty, _remove, _become_folder, _become_loop, _become_binary]


# Values.


def _json_value(path: pathlib.Path, chance: random.Random) -> None:
    """Replaces, removes or renames a value somewhere in a JSON document or line."""
    lines = path.read_text(encoding="utf-8").split("\n")
    is_lines = path.suffix == ".jsonl"
    at = chance.randrange(max(1, len(lines) - 1)) if is_lines else 0
    content = json.loads(lines[at] if is_lines else "\n".join(lines))
    places = list(_places(content))
    if not places:
        return
    holder, key = chance.choice(places)
    action = chance.choice(["replace", "replace", "replace", "remove", "rename"])
    if action == "replace":
        holder[key] = chance.choice(_VALUES)
    elif action == "remove" or isinstance(holder, list):
        del holder[key]
    else:
        holder[f"{key}_x"] = holder.pop(key)
    text = json.dumps(content)
    path.write_text("\n".join([*lines[:at], text, *lines[at + 1 :]]) if is_lines else text)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys)[:200]:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def _safetensors_header(path: pathlib.Path, chance: random.Random) -> None:
    """Changes a value in the header of a safetensors file, whose length stays right."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    holder, key = chance.choice(list(_places(header)))
    holder[key] = chance.choice([*_VALUES, "F16", "I64", "U8", [1], [0], [2**40]])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])


def fresh_copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Copies a file or folder to where the last one was damaged, and returns its path."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    elif target.is_symlink() or target.exists():
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    return pathlib.Path(
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    )
