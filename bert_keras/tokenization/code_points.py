"""What becomes of each code point: the tables behind the in-graph normalisation.

The text that reaches the WordPiece op must be what Google's `BasicTokenizer` would hand to
its `WordpieceTokenizer`, up to characters that no piece of the vocabulary contains: those
can only make their word [UNK], so all of them become the one byte `UNKNOWN_LETTER`. That
keeps the tables small, and makes the result independent of what the op's own Unicode
version says of characters that the vocabulary does not know.
"""

from __future__ import annotations

import base64
import functools
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from bert_keras.tokenization import unicode_14
from bert_keras.tokenization.freeze_unicode import (
    IGNORABLE,
    MARK,
    PUNCTUATION,
    REMOVED,
    SPACE,
    UNCASED,
)

UNKNOWN_LETTER = "\x01"
ROW_BREAK = "\x02"
# A code point beyond Unicode stands for the break between two rows of a batch.
ROW_BREAK_CODE = 0x110000
CAPITAL_SIGMA, FINAL_SIGMA = 0x3A3, 0x3C2
# Bits of a table entry: where the replacement starts in the pool, its bytes, and flags.
START_SHIFT, LENGTH_SHIFT, CASE_SHIFT = 8, 4, 1
LENGTH_MASK, CASE_MASK = 15, 3
CONTEXTUAL, STARTER = 1, 8
PAGE = 256

# Google's blocks of characters that are words of their own (BasicTokenizer).
_CJK = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
# Where the ideographs of a vocabulary go when they are letters like any other: the op
# splits ideographs by itself, and leaves private-use characters alone.
_PRIVATE_PLANE = 0xF0000


class Unicode(NamedTuple):
    """The frozen properties, arrays over all code points and sparse mappings."""

    kind: np.ndarray
    case: np.ndarray
    combining: np.ndarray
    lower: Mapping[int, list[int]]
    decompositions: Mapping[int, list[int]]


class Tables(NamedTuple):
    """Constants of the normalisation.

    `entries[page_index[code >> 8] * 256 + (code & 255)]` is a code point's entry;
    `pool` holds the replacements' bytes; `combining` and `expansions` serve the rare
    code points whose order or decomposition depends on their neighbours.
    """

    page_index: np.ndarray  # int32 [pages of the code space]
    entries: np.ndarray  # int32 [distinct pages * 256]
    pool: np.ndarray  # uint8 [bytes]
    combining: np.ndarray  # int32 [n, 2]: code point, combining class
    expansions: np.ndarray  # int32 [m, 4]: code point, its parts, -1 where absent


@functools.cache
def unicode() -> Unicode:
    """Unpacks the frozen Unicode 14 data, Hangul decompositions computed."""
    packed = json.loads(zlib.decompress(base64.b85decode(unicode_14.PACKED)))
    lengths, values = np.array(packed["runs"], np.int32).T
    value = np.repeat(values, lengths)
    decompositions = {code: parts for code, *parts in packed["decompositions"]}
    for index in range(11172):
        tail = index % 28
        jamo = [0x1100 + index // 588, 0x1161 + index % 588 // 28]
        decompositions[0xAC00 + index] = jamo + ([0x11A7 + tail] if tail else [])
    lower = {code: parts for code, *parts in packed["lower"]}
    return Unicode(value & 7, value >> 3 & 3, value >> 5, lower, decompositions)


def is_chinese(code: int) -> bool:
    """Whether Google's tokenizer sets the code point apart as a word."""
    return any(first <= code <= last for first, last in _CJK)


def can_occur(piece: str) -> bool:
    """Whether normalised text can contain the piece at all (no control, no space)."""
    kind = unicode().kind
    return all(kind[ord(char)] not in (REMOVED, SPACE) for char in piece)


def forms(text: str) -> set[str]:
    """The characters of a text and all that normalisation makes of them."""
    data = unicode()
    codes = {ord(char) for char in text}
    codes |= {ord(char.lower()) for char in text if char.isascii()}
    codes |= {part for code in codes for part in data.lower.get(code, [])}
    codes |= {part for code in codes for part in data.decompositions.get(code, [])}
    return set(map(chr, codes))


def to_private(text: str) -> str:
    """Ideographs moved to private use, so that the op takes them for letters."""
    if text.isascii():
        return text
    return "".join(chr(_private(ord(c))) if is_chinese(ord(c)) else c for c in text)


def _private(code: int) -> int:
    # 0x3400…0xFAFF and 0x20000…0x2FA1F fold into planes 15 and 16 without collision.
    return _PRIVATE_PLANE + (code if code < 0x10000 else code - 0x10000)


def build(
    alphabet: Iterable[str], lowercase: bool, strip_accents: bool, split_chinese: bool
) -> Tables:
    """Builds the tables for a vocabulary.

    Args:
        alphabet: the characters that occur in the vocabulary's pieces.
        lowercase: lower-case the text (ASCII is left to the caller).
        strip_accents: decompose (NFD) and drop marks (category Mn).
        split_chinese: make every ideograph a word.
    """
    return _Builder(set(alphabet), lowercase, strip_accents, split_chinese).build()


def _distinct(pages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each page's number among the distinct pages, and these, flat."""
    numbers: dict[bytes, int] = {}
    index = [numbers.setdefault(page.tobytes(), len(numbers)) for page in pages]
    return np.array(index, np.int32), np.frombuffer(b"".join(numbers), np.int32)


class _Builder:
    """One run of `build`."""

    def __init__(self, alphabet: set[str], lowercase: bool, strip: bool, chinese: bool):
        self.data = unicode()
        self.alphabet = {ord(char) for char in alphabet}
        self.lowercase, self.strip, self.chinese = lowercase, strip, chinese
        self.pool = bytearray()
        self.starts: dict[bytes, int] = {}

    def build(self) -> Tables:
        data = self.data
        entries = np.empty(ROW_BREAK_CODE + PAGE, np.int32)
        entries[:ROW_BREAK_CODE] = self._defaults()
        for code in sorted(self._special_codes()):
            flags = int(entries[code]) & (1 << LENGTH_SHIFT) - 1
            entries[code] = self._place(self._replacement(code)) | flags
        entries[ROW_BREAK_CODE:] = self._place(ROW_BREAK) | STARTER
        index, pages = _distinct(entries.reshape(-1, PAGE))
        combining = [(c, data.combining[c]) for c in self._moving_marks()]
        return Tables(
            index,
            pages,
            np.frombuffer(bytes(self.pool), np.uint8),
            np.array(combining, np.int32).reshape(-1, 2),
            np.array(self._expansions(), np.int32).reshape(-1, 4),
        )

    def _defaults(self) -> np.ndarray:
        """Entries as if the vocabulary were empty and nothing changed case."""
        kind, case, combining, *_ = self.data
        isolated = kind == PUNCTUATION
        if self.chinese:
            for first, last in _CJK:
                isolated[first : last + 1] = True
        gone = kind == REMOVED
        if self.strip:
            gone = gone | (kind == MARK)
        place = np.full(ROW_BREAK_CODE, self._place(UNKNOWN_LETTER), np.int32)
        place[isolated] = self._place(f" {UNKNOWN_LETTER} ")
        place[kind == SPACE] = self._place(" ")
        place[gone] = self._place("")
        # A removed character is not there for any rule that looks at neighbours.
        removed = kind == REMOVED
        case = np.where(removed, IGNORABLE, np.where(kind == SPACE, UNCASED, case))
        starter = np.where((combining == 0) & ~removed, STARTER, 0)
        entries = place | case << CASE_SHIFT | starter
        if self.lowercase:
            entries[CAPITAL_SIGMA] |= CONTEXTUAL
        if self.strip:
            entries[self._moving_marks() + [row[0] for row in self._expansions()]] |= CONTEXTUAL
        return entries

    def _special_codes(self) -> set[int]:
        """The code points whose entry is more than their kind."""
        kind = self.data.kind
        codes = set(self.alphabet)
        codes |= self.data.lower.keys() if self.lowercase else set()
        codes |= self.data.decompositions.keys() if self.strip else set()
        return {code for code in codes if kind[code] not in (REMOVED, SPACE)}

    def _replacement(self, code: int) -> str:
        text = "".join(self._letter(part) for part in self._normalised(code))
        return f" {text} " if self.chinese and is_chinese(code) else text

    def _normalised(self, code: int) -> list[int]:
        """Google's lower, NFD, strip, for one code point."""
        codes = self.data.lower.get(code, [code]) if self.lowercase else [code]
        if self.strip:
            codes = [p for c in codes for p in self.data.decompositions.get(c, [c])]
            codes = [part for part in codes if self.data.kind[part] != MARK]
        return codes

    def _letter(self, code: int) -> str:
        """One normalised character as the op shall see it."""
        char = chr(code) if code in self.alphabet else UNKNOWN_LETTER
        if not self.chinese and char != UNKNOWN_LETTER:
            char = to_private(char)
        return f" {char} " if self.data.kind[code] == PUNCTUATION else char

    def _moving_marks(self) -> list[int]:
        """Marks that stay (not Mn) and that canonical ordering can move."""
        if not self.strip:
            return []
        stays = (self.data.combining > 0) & (self.data.kind != MARK)
        return np.flatnonzero(stays).tolist()

    def _expansions(self) -> list[list[int]]:
        """Code points that decompose into several parts, a moving mark among them."""
        moving = set(self._moving_marks())
        rows = []
        for code, parts in sorted(self.data.decompositions.items()):
            kept = [part for part in parts if self.data.kind[part] != MARK]
            if len(kept) > 1 and moving & set(kept):
                rows.append([code, *kept, *[-1] * (3 - len(kept))])
        return rows

    def _place(self, text: str) -> int:
        """The entry, without flags, of a replacement; equal ones share their bytes."""
        raw = text.encode()
        if raw not in self.starts:
            self.starts[raw] = len(self.pool)
            self.pool += raw
        assert len(raw) <= LENGTH_MASK
        return self.starts[raw] << START_SHIFT | len(raw) << LENGTH_SHIFT
