"""Texts as words with their places, and words as a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class OffsetTokenizer(Protocol):
    """What is needed of a `BertTokenizer`."""

    @property
    def vocabulary(self) -> list[str]: ...

    def offsets(self, texts: Any) -> tuple[Any, Any, Any]: ...


@dataclasses.dataclass(frozen=True)
class PlacedWords:
    """A text and its words: word i is `text[starts[i]:ends[i]]`, in characters."""

    text: str
    words: list[str]
    starts: list[int]
    ends: list[int]


def split_words(tokenizer: OffsetTokenizer, texts: Sequence[str]) -> list[PlacedWords]:
    """The words of texts as BERT's basic tokenizer finds them: white space and punctuation
    divide them, and every ideograph is one."""
    ids, starts, ends = tokenizer.offsets(list(texts))
    begins = np.array([not piece.startswith("##") for piece in tokenizer.vocabulary])
    found = []
    for row, text in enumerate(texts):
        first = begins[ids[row].numpy()]
        last = np.append(first[1:], True)
        places = starts[row].numpy()[first].tolist(), ends[row].numpy()[last[: len(first)]].tolist()
        words = [text[start:end] for start, end in zip(*places, strict=True)]
        found.append(PlacedWords(text, words, *places))
    return found


def place_words(words: Sequence[str]) -> PlacedWords:
    """The text that words make: joined by spaces, but for ideographs next to each other."""
    text, starts, ends = "", [], []
    for word in words:
        if text and not (_is_wide(text[-1]) and _is_wide(word[:1])):
            text += " "
        starts.append(len(text))
        text += word
        ends.append(len(text))
    return PlacedWords(text, list(words), starts, ends)


def _is_wide(char: str) -> bool:
    """Whether a character is an ideograph, a kana or their punctuation, written without spaces."""
    return "\u3000" <= char <= "\u9fff" or "\uff00" <= char <= "\uffef" or char >= "\U00020000"
