"""Text for the tokenizers, from the assets."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any


def _paragraphs(data: pathlib.Path, kind: str) -> Iterator[str]:
    """Paragraphs of books, or contexts of SQuAD or of the Chinese XQuAD."""
    if kind == "books":
        for book in sorted(data.glob("books/*/*.md")):
            parts = (part.strip() for part in book.read_text("utf-8").split("\n\n"))
            yield from filter(None, parts)
        return
    name = {"squad": "dev-v1.1.json", "chinese": "xquad.zh.json"}[kind]
    for article in json.loads((data / "squad" / name).read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            yield paragraph["context"]


def rows(work: Mapping[str, Any]) -> tuple[list[str], float]:
    """Rows of the work's `text` up to its `megabytes`, and their size in MB."""
    found: list[str] = []
    size = 0
    for row in _paragraphs(pathlib.Path(work["assets"], "data"), work["text"]):
        found.append(row)
        size += len(row.encode())
        if size >= work["megabytes"] * 1e6:
            break
    return found, size / 1e6


def vocabulary(work: Mapping[str, Any]) -> str:
    """The vocabulary file that belongs to the text."""
    name = "chinese_21128" if work["text"] == "chinese" else "uncased_30522"
    return str(pathlib.Path(work["assets"], "data", "vocab", name, "vocab.txt"))
