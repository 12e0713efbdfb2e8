"""BERT's tokenization in plain Python: the published algorithm, one character at a time.

Written from the description of google-research/bert's `tokenization.py` to compare with.
It asks the running Python for Unicode properties, so it is the reference only where
`unicodedata.unidata_version` is 14.0.0.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

IDEOGRAPHS = (
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B740),
    range(0x2B740, 0x2B820),
    range(0x2B820, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
)


class Oracle:
    """Text to ids with a vocabulary given as a list."""

    def __init__(self, pieces: Sequence[str], lowercase: bool):
        self.pieces = list(pieces)
        self.ids = {piece: index for index, piece in enumerate(pieces)}
        self.lowercase = lowercase

    def words(self, text: str | bytes) -> list[str]:
        """White space, clean-up, ideographs, case, accents, punctuation: the words."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "ignore")
        chars = []
        for char in text:
            category = unicodedata.category(char)
            if char in "\t\n\r" or category == "Zs":
                chars.append(" ")
            elif char in "\0\ufffd" or category in ("Cc", "Cf"):
                continue
            elif any(ord(char) in block for block in IDEOGRAPHS):
                chars.append(f" {char} ")
            else:
                chars.append(char)
        words: list[str] = []
        for token in "".join(chars).split():
            if self.lowercase:
                decomposed = unicodedata.normalize("NFD", token.lower())
                token = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
            words += "".join(f" {c} " if is_punctuation(c) else c for c in token).split()
        return words

    def pieces_of(self, word: str) -> list[str]:
        """Greedy, longest match first; [UNK] when that fails or the word is too long."""
        if len(word) > 200:
            return ["[UNK]"]
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if prefix + word[start:end] in self.ids:
                    found.append(prefix + word[start:end])
                    start = end
                    break
            else:
                return ["[UNK]"]
        return found

    def tokenize(self, text: str | bytes) -> list[int]:
        return [self.ids[p] for word in self.words(text) for p in self.pieces_of(word)]


def is_punctuation(char: str) -> bool:
    symbol = char.isascii() and "!" <= char <= "~" and not char.isalnum()
    return symbol or unicodedata.category(char).startswith("P")


def truncate(first: list, second: list, budget: int) -> tuple[list, list]:
    """Pops off the longer list, off the second when both are equally long."""
    first, second = list(first), list(second)
    while len(first) + len(second) > budget:
        (first if len(first) > len(second) else second).pop()
    return first, second
