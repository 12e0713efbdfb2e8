"""Writes `unicode_14.py`, the Unicode data that the tokenizer is frozen on.

Google's `tokenization.py` asks the running Python for categories, lower case and
decompositions, so its answers change with Python's Unicode version. The tokenizer asks a
frozen copy instead. Run on a Python whose `unicodedata.unidata_version` is 14.0.0
(Python 3.11): `python -m bert_keras.tokenization.freeze_unicode`.
"""

from __future__ import annotations

import base64
import itertools
import json
import pathlib
import sys
import unicodedata
import zlib

VERSION = "14.0.0"
OTHER, SPACE, REMOVED, PUNCTUATION, MARK = range(5)
UNCASED, CASED, IGNORABLE = range(3)


def kind_of(char: str) -> int:
    """Google's class of a character: removed, white space, punctuation, Mn, or other."""
    category = unicodedata.category(char)
    if char in "\t\n\r\u2028\u2029" or category == "Zs":
        return SPACE
    if char in "\0\ufffd" or category in ("Cc", "Cf"):
        return REMOVED
    ascii_symbol = "!" <= char <= "~" and not char.isalnum()
    if ascii_symbol or category.startswith("P"):
        return PUNCTUATION
    return MARK if category == "Mn" else OTHER


def case_of(char: str) -> int:
    """The character's part in the final-sigma rule, read off `str.lower` itself.

    Python does not publish Cased and Case_Ignorable, but its lower case of capital sigma
    depends on nothing else: a final sigma comes out after a cased character, and through
    ignorable ones.
    """
    if (char + "\u03a3").lower().endswith("\u03c2"):
        return CASED
    if ("A" + char + "\u03a3").lower().endswith("\u03c2"):
        return IGNORABLE
    return UNCASED


def derive() -> dict[str, list]:
    """Properties of every code point by the running Python.

    Returns:
        `runs`: pairs (how many code points, value), the value being
        kind | case << 3 | combining class << 5; `lower` and `decompositions`: lists
        [code point, *replacement], the latter canonical, full, Hangul left out.
    """
    values, lower, decompositions = [], [], []
    for code in range(0x110000):
        char = chr(code)
        values.append(kind_of(char) | case_of(char) << 3 | unicodedata.combining(char) << 5)
        if char.lower() != char:
            lower.append([code, *map(ord, char.lower())])
        if not 0xAC00 <= code <= 0xD7A3:
            parts = unicodedata.normalize("NFD", char)
            if parts != char:
                decompositions.append([code, *map(ord, parts)])
    runs = [[len(list(group)), value] for value, group in itertools.groupby(values)]
    return {"runs": runs, "lower": lower, "decompositions": decompositions}


def main() -> None:
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"needs Unicode {VERSION}; this Python has {unicodedata.unidata_version}")
    packed = json.dumps(derive(), separators=(",", ":")).encode()
    text = base64.b85encode(zlib.compress(packed, 9)).decode()
    lines = "\n".join(f'    "{text[i : i + 92]}"' for i in range(0, len(text), 92))
    path = pathlib.Path(__file__).with_name("unicode_14.py")
    path.write_text(
        f'"""Unicode {VERSION}, packed. Written by `freeze_unicode.py`; not edited by hand."""\n\n'
        f"from __future__ import annotations\n\nPACKED = (\n{lines}\n)\n"
    )


if __name__ == "__main__":
    main()
