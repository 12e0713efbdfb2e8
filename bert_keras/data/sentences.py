"""Text to sentences: English, Chinese, any language, or a sentence a line.

Rules, not models: where a sentence ends decides only which words are together in an example, and
the rules read faster than the tokenizer. White space inside a sentence, line ends included, stays
as it is; to BERT's tokenizer all white space is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Splitter = Callable[[str], list[str]]

_PARAGRAPH = r"\n[ \t\r\f\v]*\n\s*"
# What may follow the mark that ends a sentence and still belongs to it.
_CLOSING = "\"'”’»›)\\]}」』）》〉】〕＂＇"
_OPENING = frozenset("\"'“‘«‹([{¿¡—–-*_„‚「『（《〈【〔")
_WIDE = "。！？；…｡"
_LATIN = ".!?…"
# Arabic, Urdu, Devanagari, Armenian, Ethiopic, Tibetan, Khmer and Myanmar marks.
_OTHERS = _LATIN + "؟۔।॥։።፧།៕။"

# They stand before a name or a number, never at the end of a sentence. Without the full stop,
# in lower case.
_TITLES = frozenset(
    "mr mrs ms messrs mlle mme dr drs prof rev revd hon st ste sr sra capt cpt col gen lt lieut "
    "maj sgt cpl pvt adm cmdr gov sen rep pres supt insp fr bros mt ft vs viz cf e.g i.e eg ie "
    "approx ca esp incl resp al fig figs eq eqs sec ch chap vol vols pp ed eds trans dept est no "
    "nos art jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
# Of these, those that are also words or often end a sentence, unless a number follows.
_BEFORE_NUMBERS = frozenset(
    "no nos art fig figs eq eqs sec ch chap vol vols pp ed eds est al jan feb mar apr jun jul aug "
    "sep sept oct nov dec".split()
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
# A sentence often begins with these, a name hardly ever: "in the U.S. The …".
_STARTERS = frozenset(
    "the a an this that these those he she it they we you in on at by for from with but and or "
    "so if when while as after before there then what who why how his her its their our my".split()
)
_WORD_REACH = 24


def splitter(kind: str) -> Splitter:
    """The function that cuts a text of one document into its sentences.

    Args:
        kind: "english": `.`, `!`, `?` and `…` end a sentence before white space and a letter
            that is not a small one, but not after abbreviations and initials; "chinese":
            `。`, `！`, `？`, `；` and `…` with closing quotation marks do, whatever follows;
            "multilingual": both, and the marks of further scripts; "line": every line is one.
            A blank line ends a sentence for all of them.

    Returns:
        A function of a text that returns its sentences, none of them blank.

    Raises:
        KeyError: there is no such kind.
    """
    return _SPLITTERS[kind]


def _spaced(marks: str) -> str:
    """Marks that end a sentence where white space follows them."""
    # A run of marks is looked at once, from its beginning, however long it is.
    return rf"[{marks}](?<![{marks}][{marks}])[{marks}]*+[{_CLOSING}*_]*+\s+"


def _by(pattern: str) -> Splitter:
    """Cuts after each match of a pattern that is a paragraph's end or passes `_ends`."""
    ends = re.compile(pattern)

    def split(text: str) -> list[str]:
        sentences = []
        begin = 0
        for end in _bounds(ends, text):
            sentence = text[begin:end].strip()
            if sentence:
                sentences.append(sentence)
            begin = end
        return sentences

    return split


def _bounds(ends: re.Pattern[str], text: str) -> Iterator[int]:
    for match in ends.finditer(text):
        first = text[match.start()]
        if first == "\n" or first not in _OTHERS or _ends(text, match):
            yield match.end()
    yield len(text)


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether a full stop or its like, found with the space after it, ends a sentence."""
    start, end = match.span()
    size = len(text)
    while end < size and text[end] in _OPENING:
        end += 1
    if end < size and text[end].islower():
        return False
    # Only a single full stop abbreviates, and no quotation mark follows one that does.
    if text[start] != "." or not text[start + 1].isspace():
        return True
    words = text[max(0, start - _WORD_REACH) : start].split()
    if not words or text[start - 1].isspace():
        return True
    word = words[-1].rpartition("—")[2].rpartition("--")[2].lstrip("\"'“‘«([{–-*_")
    lower = word.lower()
    if lower in _TITLES:
        return lower in _BEFORE_NUMBERS and not text[end : end + 1].isdigit()
    if _INITIALS.fullmatch(word) and word != "I":
        following = text[end : end + _WORD_REACH].split(None, 1)
        return bool(following) and following[0].lower().strip(".,;:") in _STARTERS
    return True


def _lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.split("\n")) if line]


_WIDE_END = rf"[{_WIDE}!?]*+[.]*+[{_CLOSING}]*+\s*"
_SPLITTERS: dict[str, Splitter] = {
    "english": _by(rf"{_PARAGRAPH}|{_spaced(_LATIN)}"),
    # The first line of a Chinese paragraph is indented where no blank line stands before it.
    "chinese": _by(rf"{_PARAGRAPH}|\n[ \t\u3000]+|[{_WIDE}!?]{_WIDE_END}"),
    "multilingual": _by(rf"{_PARAGRAPH}|[{_WIDE.replace('…', '')}]{_WIDE_END}|{_spaced(_OTHERS)}"),
    "line": _lines,
}
KINDS = tuple(_SPLITTERS)
