"""Spans of Label Studio's exports, whose offsets count UTF-16 units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bert_keras.data.annotation_forms import TASK_COLUMNS
from bert_keras.data.span_tags import MarkedText, Span
from bert_keras.data.table_source import as_label, as_text
from bert_keras.data.tables import as_json, shorten


class _Region(NamedTuple):
    """A span as the export has it; `stated` is its text, None where that is not there."""

    start: int
    end: int
    type: str
    stated: str | None


def label_studio_spans(row: Mapping[str, Any]) -> MarkedText:
    """Returns the text of a task and the spans of its first annotation that was not canceled.

    Offsets count UTF-16 units, as browsers do, or code points: the reading whose spans all have
    the text that the export states is taken. Where neither fits, a span is at the nearest
    occurrence of its text.

    Raises:
        ValueError: the task has no text, no annotation, or a span that is not in the text.
    """
    data = row.get("data")
    text = _text(data if isinstance(data, dict) else row)
    values = [_value(entry) for entry in _result(row)]
    regions = [_region(value) for value in values if value is not None]
    units, points = _code_point_of_unit(text), list(range(len(text) + 1))
    for offsets in (units, points):
        placed = [_at(text, region, offsets) for region in regions]
        if None not in placed:
            return MarkedText(text, [span for span in placed if span is not None])
    placed = [_at(text, region, units) for region in regions]
    pairs = zip(placed, regions, strict=True)
    spans = [span or _nearest(text, region) for span, region in pairs]
    return MarkedText(text, spans, moved=placed.count(None))


def _text(data: Mapping[str, Any]) -> str:
    """Returns the text of a task: `text`, or the only string of its data."""
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    if "text" in texts:
        return as_text(texts["text"])
    if len(texts) != 1:
        raise ValueError(
            f"task has the texts {shorten(', '.join(texts)) or 'none'}, expected one, or 'text'"
        )
    return as_text(next(iter(texts.values())))


def _result(row: Mapping[str, Any]) -> Sequence[Any]:
    """Returns the entries of the annotation that counts; of the short export, its spans."""
    name = next((name for name in TASK_COLUMNS if name in row), None)
    if not isinstance(row.get("data"), dict):
        # The short export has a key per control, and none for a control without regions.
        return [region for value in row.values() if _look_like_regions(value) for region in value]
    annotations = _checked_list(row.get(str(name)), "annotations")
    for annotation in annotations:
        if not isinstance(annotation, dict):
            raise ValueError(f"annotation {as_json(annotation)}, expected an object")
        if not annotation.get("was_cancelled") and not annotation.get("skipped"):
            return _checked_list(annotation.get("result"), "result")
    raise ValueError("task has no annotation that was not canceled")


def _look_like_regions(value: Any) -> bool:
    """Returns whether a list holds regions, also where one of them lacks a key."""
    entries = value if isinstance(value, list) else []
    return any(isinstance(one, dict) and {"start", "end", "labels"} & one.keys() for one in entries)


def _checked_list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name!r} holds {as_json(value)}, expected a list")
    return value


def _value(entry: Any) -> Mapping[str, Any] | None:
    """Returns the span of an entry; None where it is something else, such as a relation."""
    if not isinstance(entry, dict):
        raise ValueError(f"result {as_json(entry)}, expected an object")
    kind, value = entry.get("type", "labels"), entry.get("value", {})
    if "value" not in entry and "labels" in entry:
        value = entry
    if kind in ("hypertextlabels", "paragraphlabels"):
        raise ValueError(f"result of type {kind!r}, expected labels of plain text")
    if kind != "labels":
        return None
    if not isinstance(value, dict):
        raise ValueError(f"result {as_json(entry)}, expected an object in 'value'")
    return value


def _region(value: Mapping[str, Any]) -> _Region:
    start, end = (_offset(value, name) for name in ("start", "end"))
    labels = value.get("labels")
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        raise ValueError(f"span {as_json(value)} has labels {as_json(labels)}, expected one")
    stated = value.get("text")
    if stated is not None and not isinstance(stated, str):
        raise ValueError(f"span {as_json(value)}, expected a text in 'text'")
    return _Region(start, end, as_label(labels[0]), stated)


def _offset(value: Mapping[str, Any], name: str) -> int:
    offset = value.get(name)
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise ValueError(f"span {as_json(value)}, expected a number of characters in {name!r}")
    return offset


def _code_point_of_unit(text: str) -> list[int]:
    """Returns the code point at which each UTF-16 unit of a text is, and the text's length."""
    points: list[int] = []
    for index, char in enumerate(text):
        points += [index] * (2 if ord(char) > 0xFFFF else 1)
    return [*points, len(text)]


def _at(text: str, region: _Region, offsets: Sequence[int]) -> Span | None:
    """Returns the span that a region has by a reading of offsets, None where its text differs."""
    if max(region.start, region.end) >= len(offsets):
        return None
    start, end = offsets[region.start], offsets[region.end]
    if region.stated is None and max(map(ord, text[: max(start, end)]), default=0) > 0xFFFF:
        raise ValueError(
            f"span {region.start} to {region.end} is behind a character beyond U+FFFF and states "
            "no text, so what its offsets count is unknown"
        )
    if region.stated is not None and _plain(text[start:end]) != _plain(region.stated):
        return None
    return Span(start, end, region.type)


def _plain(text: str) -> str:
    """Returns a text as Label Studio states it: line feeds escaped, white space collapsed."""
    return " ".join(text.replace("\\n", " ").split())


def _nearest(text: str, region: _Region) -> Span:
    """Returns the occurrence of a region's text that is nearest to its offsets."""
    stated = (region.stated or "").strip()
    if not stated:
        raise ValueError(
            f"span {region.start} to {region.end} is not inside of the text's {len(text)} "
            "characters"
        )
    found = sorted(_occurrences(text, stated), key=lambda start: abs(start - region.start))
    if not found:
        raise ValueError(
            f"span {region.start} to {region.end} is {shorten(text[region.start : region.end])!r}, "
            f"and {shorten(region.stated or '')!r}, its stated text, is nowhere in the text"
        )
    if len(found) > 1 and found[0] + found[1] == 2 * region.start:
        raise ValueError(
            f"{shorten(stated)!r} is not at {region.start} to {region.end}, and as near before "
            "as behind it"
        )
    return Span(found[0], found[0] + len(stated), region.type)


def _occurrences(text: str, part: str) -> list[int]:
    starts = []
    start = text.find(part)
    while start >= 0:
        starts.append(start)
        start = text.find(part, start + 1)
    return starts
