"""Spans of a text as tags of its words, in IOB2."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bert_keras.data.tables import shorten
from bert_keras.tokenization.code_points import is_chinese, unicode
from bert_keras.tokenization.freeze_unicode import MARK, PUNCTUATION, REMOVED, SPACE


@dataclasses.dataclass(frozen=True, order=True)
class Span:
    """A typed part of a text: `text[start:end]`, in code points."""

    start: int
    end: int
    type: str


@dataclasses.dataclass(frozen=True)
class MarkedText:
    """A text with spans.

    Attributes:
        text: the text.
        spans: its spans, in any order.
        moved: how many of them are where their text is, not where the file has them.
    """

    text: str
    spans: list[Span]
    moved: int = 0


@dataclasses.dataclass(frozen=True)
class TaggedWords:
    """The words of a text.

    Attributes:
        words: the words.
        tags: the tag of each.
        divided: words that span borders divide, each counted once per border.
    """

    words: list[str]
    tags: list[str]
    divided: int


def basic_words(text: str) -> list[tuple[int, int]]:
    """Returns where the words of a text start and end, in code points.

    The words are those of BERT's basic tokenization: white space separates them, and every
    punctuation mark and every ideograph is one. Words of nothing but characters that BERT removes
    (controls, combining marks) are left out.
    """
    kinds = [int(unicode().kind[ord(char)]) for char in text]
    words: list[tuple[int, int]] = []
    start = None
    for index, (char, kind) in enumerate(zip(text, kinds, strict=True)):
        is_single = kind == PUNCTUATION or is_chinese(ord(char))
        if kind != SPACE and not is_single:
            start = index if start is None else start
            continue
        if start is not None:
            words.append((start, index))
            start = None
        if is_single:
            words.append((index, index + 1))
    if start is not None:
        words.append((start, len(text)))
    return [word for word in words if not {REMOVED, MARK}.issuperset(kinds[slice(*word)])]


def tag_words(text: str, spans: Sequence[Span]) -> TaggedWords:
    """Returns the words of a text with tags in IOB2.

    A span border inside of a word divides it, so that every span is a whole number of words.
    White space at the borders of spans is no part of them. Equal spans count once.

    Raises:
        ValueError: a span is outside of the text, empty or without a word, two spans overlap, or
            the text has no words.
    """
    trimmed = sorted({_trimmed(text, span) for span in spans})
    for before, after in zip(trimmed, trimmed[1:], strict=False):
        if after.start < before.end:
            raise ValueError(
                f"spans {_shown(text, before)} and {_shown(text, after)} overlap, expected one "
                "type per word"
            )
    borders = {border for span in trimmed for border in (span.start, span.end)}
    places, divided = _divide(basic_words(text), borders)
    if not places:
        raise ValueError(f"text {shorten(text)!r} has no words")
    tags = ["O"] * len(places)
    for span in trimmed:
        inside = [i for i, (start, _) in enumerate(places) if span.start <= start < span.end]
        if not inside:
            raise ValueError(f"span {_shown(text, span)} holds no word")
        for index in inside:
            tags[index] = f"{'B' if index == inside[0] else 'I'}-{span.type}"
    return TaggedWords([text[start:end] for start, end in places], tags, divided)


def _trimmed(text: str, span: Span) -> Span:
    """Returns a span without the white space at its borders."""
    if not 0 <= span.start < span.end <= len(text):
        raise ValueError(
            f"span {span.start} to {span.end} ({shorten(span.type)}) is not inside of the text's "
            f"{len(text)} characters"
        )
    kept = text[span.start : span.end]
    start = span.start + len(kept) - len(kept.lstrip())
    end = span.end - (len(kept) - len(kept.rstrip()))
    if start >= end:
        raise ValueError(f"span {_shown(text, span)} is white space, expected words")
    return Span(start, end, span.type)


def _divide(
    words: Sequence[tuple[int, int]], borders: set[int]
) -> tuple[list[tuple[int, int]], int]:
    """Returns the words divided at the borders, and how many borders are inside of words."""
    parts: list[tuple[int, int]] = []
    for start, end in words:
        cuts = [start, *(cut for cut in range(start + 1, end) if cut in borders), end]
        parts += zip(cuts, cuts[1:], strict=False)
    return parts, len(parts) - len(words)


def _shown(text: str, span: Span) -> str:
    return f"{shorten(text[span.start : span.end])!r} ({span.start} to {span.end}, {span.type})"
