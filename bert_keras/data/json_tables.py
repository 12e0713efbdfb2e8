"""Tables of JSON objects: one a line, or an array of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from bert_keras.data.source import DataSource
from bert_keras.data.tables import MISSING, Table, as_json, shorten
from bert_keras.errors import UserError

_SPACE = re.compile(r"[ \t\r\n]*")

# A line number and the value that begins there.
_Values = list[tuple[int, Any]]


def is_json(line: str) -> bool:
    """Returns whether a file that begins with this line holds JSON objects."""
    start = line.strip()
    if start in ("[", "[{"):
        return True
    try:
        value = json.loads(start)
    except (ValueError, RecursionError):
        return False
    is_rows = isinstance(value, list) and all(isinstance(row, dict) for row in value)
    return isinstance(value, dict) or (is_rows and bool(value))


def read_json(source: DataSource, lines: Sequence[str]) -> Table:
    """Reads JSON objects: a line each, an array of them, or an object whose one member is such.

    The columns are the keys of all objects, in the order in which they are first met; the value
    of a key that an object lacks is `MISSING`. Blank lines are skipped.

    Raises:
        UserError: a line or a value is not a JSON object.
    """
    values = _document(source, lines)
    if values is None:
        values = [
            (number, value)
            for number, line in enumerate(lines, start=1)
            if line.strip() and (value := _line_value(source, number, line)) is not MISSING
        ]
    objects = []
    for number, value in values:
        if isinstance(value, dict):
            objects.append((number, value))
        else:
            reason = f"received the JSON value {as_json(value)}, expected an object"
            source.bad_rows.reject(f"{source.title}:{number}", reason, value)
    if not objects:
        raise UserError(f"{source.title}: has no rows, expected JSON objects")
    columns = list(dict.fromkeys(key for _, value in objects for key in value))
    rows = [[value.get(name, MISSING) for name in columns] for _, value in objects]
    return Table(source.title, columns, rows, [number for number, _ in objects])


def _line_value(source: DataSource, number: int, line: str) -> Any:
    """Returns the value of a line, MISSING where the line was rejected."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        reason = f"not JSON at character {error.colno} ({error.msg}), expected an object per line"
    except (ValueError, RecursionError) as error:
        reason = f"not JSON ({error}), expected an object per line"
    source.bad_rows.reject(f"{source.title}:{number}", reason, shorten(line))
    return MISSING


def _document(source: DataSource, lines: Sequence[str]) -> _Values | None:
    """Returns the values of a file that is one array or object; None for JSON lines.

    An object whose only member is a list of objects stands for these.
    """
    text = "\n".join(lines)
    start = _end_of_space(text, 0)
    if text.startswith("[", start):
        return _array(source, text, start)
    is_only_line = sum(bool(line.strip()) for line in lines) == 1
    if not text.startswith("{", start) or not (is_only_line or not is_json(_first(lines))):
        return None
    content, end = _decode(source, text, start)
    _check_end(source, text, end)
    member = list(content.values())[0] if len(content) == 1 else None
    if not isinstance(member, list) or not all(isinstance(row, dict) for row in member):
        return [(text.count("\n", 0, start) + 1, content)]
    _, end = _decode(source, text, _end_of_space(text, start + 1))
    return _array(source, text, text.index("[", end), closing="}")


def _first(lines: Sequence[str]) -> str:
    return next(line for line in lines if line.strip())


def _array(source: DataSource, text: str, start: int, closing: str = "") -> _Values:
    """Returns the elements of the array that begins at `start`, each with its line.

    `closing` is what stands behind the array, at the end of the text.
    """
    values: _Values = []
    line, counted, position = 1, 0, _end_of_space(text, start + 1)
    while not text.startswith("]", position):
        line += text.count("\n", counted, position)
        counted = position
        value, end = _decode(source, text, position)
        values.append((line, value))
        position = _end_of_space(text, end)
        if text.startswith(",", position):
            position = _end_of_space(text, position + 1)
        elif not text.startswith("]", position):
            raise UserError(f"{_where(source, text, position)}: not JSON, expected a comma or ]")
    _check_end(source, text, text.find(closing, position + 1) + len(closing))
    return values


def _check_end(source: DataSource, text: str, position: int) -> None:
    """Raises a UserError where something follows the end of a document."""
    position = _end_of_space(text, position)
    if position < len(text):
        raise UserError(f"{_where(source, text, position)}: not JSON, expected the end of the file")


def _where(source: DataSource, text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"{source.title}:{line}"


def _decode(source: DataSource, text: str, position: int) -> tuple[Any, int]:
    """Returns the value that begins at a position, and the position behind it."""
    try:
        return json.JSONDecoder().raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{source.title}:{error.lineno}: not JSON at character {error.colno} ({error.msg})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{_where(source, text, position)}: not JSON ({error})") from None


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None
    return match.end()
