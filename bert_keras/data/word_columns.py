"""Files with a word per line: columns, comments, and which of the columns is the tag."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from absl import logging

from bert_keras.data.source import DataSource
from bert_keras.data.tables import shorten
from bert_keras.errors import UserError

_DOCUMENT = "-DOCSTART-"
_COMMENT = re.compile(r"#(\s|begin document|end document)")
_SPACES = re.compile(r"[ \t]+")
# A tag of an entity in any notation that `metrics.tag_schemes` knows.
_ENTITY_TAG = re.compile(
    r"[Oo]|[BIESLUMW][-_].+|[bieslumw][-_].+|.+[-_][BIESLUMW]|.+[-_][bieslumw]|[BIESLUMW]"
)
# Numbers of words; in CoNLL-U also of words that several stand for, and of words that are not in
# the text.
_NUMBER = re.compile(r"(\d+)([-.]\d+)?")
# CoNLL-U and CoNLL-X: ID, FORM, LEMMA, UPOS, ….
_CONLLU_COLUMNS, _CONLLU_TAG = 10, 3
_Lines = list[tuple[int, str]]


@dataclasses.dataclass(frozen=True)
class ColumnSentence:
    """The words of a sentence: for each the line that it is on, from 1, and its columns."""

    lines: list[int]
    fields: list[list[str]]


@dataclasses.dataclass(frozen=True)
class WordColumns:
    """The sentences of a file, and which columns hold the words and the tags, from 0."""

    sentences: list[ColumnSentence]
    word: int
    tag: int


def read_word_columns(
    source: DataSource, lines: Sequence[str], labelled: bool = True
) -> WordColumns:
    """Reads columns: a word per line, a blank line between sentences.

    `source.text_column` and `source.label_column` number the columns of words and tags, from 1.
    By default these are the first and the last. Where the first numbers the words of each
    sentence, the words are in the second; then see `_tag_of_numbered`.

    A sentence with a line that cannot be used goes to `source.bad_rows`.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    blocks = _blocks(source.title, lines)
    if not blocks:
        raise UserError(f"{source.title}: has no words, expected a word per line")
    layout = _Layout.of([text for block in blocks for _, text in block])
    if labelled and layout.width < 2:
        line, text = blocks[0][0]
        raise UserError(
            f"{source.title}:{line}: received {shorten(text.strip())!r}, expected a word and, in "
            "the last column, its tag"
        )
    split = [_split(layout, block) for block in blocks]
    numbered = _is_numbered(split, layout.width, labelled)
    if numbered:
        split = [_without_ranges(sentence) for sentence in split]
    rows = [row for one in split for row in one.fields if len(row) == layout.width]
    word, tag = 0, layout.width - 1
    if numbered:
        word, tag = 1, _tag_of_numbered(rows, layout.width)
    word = _column(source, "text_column", source.text_column, layout.width, word)
    tag = _column(
        source, "label_column", source.label_column if labelled else None, layout.width, tag
    )
    texts = dict(line for block in blocks for line in block)
    kept = [
        sentence
        for sentence in split
        if sentence.lines
        and _is_usable(source, sentence, texts, layout.width, (word, tag) if labelled else (word,))
    ]
    if not kept:
        raise UserError(f"{source.title}: has no sentences that can be used")
    return WordColumns(kept, word, tag)


def are_word_columns(lines: Sequence[str]) -> bool:
    """Returns whether every line has as many columns as the others, and a tag of an entity.

    A text may end like this too, "on I-95" or "of type O": a word outside of entities must be
    among them, and words separated by spaces must be several, or many if they have more columns.
    """
    blocks = _blocks("", lines)
    if not blocks:
        return False
    texts = [text for block in blocks for _, text in block]
    layout = _Layout.of(texts)
    split = [_split(layout, block) for block in blocks]
    rows = [row for sentence in split for row in sentence.fields]
    if layout.width < 2 or any(len(row) != layout.width for row in rows):
        return False
    numbered = _is_numbered(split, layout.width)
    with_tabs = all("\t" in text for text in texts)
    if numbered and with_tabs and layout.width == _CONLLU_COLUMNS:
        return True
    tag = _tag_of_numbered(rows, layout.width) if numbered else layout.width - 1
    tags = {row[tag] for row in rows}
    least = 1 if with_tabs else 2 if layout.width == 2 else 4
    return len(rows) >= least and bool(tags & {"O", "o"}) and all(map(_is_entity_tag, tags))


# Lines.


def _is_blank(line: str, width: int = 0) -> bool:
    """Returns whether a line is blank; where lines are single words, one may be a white space."""
    # Some files have a byte order mark on a line by itself.
    return not line.strip(" \t\ufeff") or (width != 1 and not line.strip())


def _blocks(title: str, lines: Sequence[str]) -> list[_Lines]:
    """Returns the lines with words, with their numbers, sentence by sentence.

    Left out are blank lines, `-DOCSTART-` and comments. A line that begins with `#` is a comment
    where it has not as many columns as the others and `#` stands by itself or the line begins a
    sentence; or where it has, `#` stands by itself and what ends it is no tag of the file.
    """
    marked = [text for text in lines if text.startswith("#")]
    plain = [
        text for text in lines if not _is_blank(text) and not text.startswith(("#", _DOCUMENT))
    ]
    if not plain and not marked:
        return []
    layout = _Layout.of(plain or marked)
    rows = [layout.fields(text) for text in plain]
    tags = {row[-1] for row in rows}
    # Where every word has a number no line that begins with # is one.
    numbered = bool(rows) and layout.width > 2 and all(_NUMBER.fullmatch(row[0]) for row in rows)
    blocks: list[_Lines] = [[]]
    doubtful: _Lines = []
    for number, text in enumerate(lines, start=1):
        is_comment = False
        if text.startswith("#"):
            begins = not blocks[-1]
            is_comment = numbered or _is_comment(text, layout, tags, begins)
            if is_comment and not numbered and not _COMMENT.match(text):
                doubtful.append((number, text))
        if is_comment or _is_blank(text, layout.width) or text.startswith(_DOCUMENT):
            if blocks[-1]:
                blocks.append([])
        else:
            blocks[-1].append((number, text))
    if doubtful:
        number, text = doubtful[0]
        logging.warning(
            "%s:%d: %r and %d more line(s) that begin with # have other columns than the words "
            "and are taken for comments",
            *(title, number, shorten(text), len(doubtful) - 1),
        )
    return [block for block in blocks if block]


def _is_comment(text: str, layout: _Layout, tags: set[str], begins: bool) -> bool:
    fields = layout.fields(text)
    is_apart = bool(_COMMENT.match(text)) and len(_SPACES.split(text.strip(" \t"))) > 1
    if len(fields) != layout.width:
        return is_apart or (begins and layout.width > 1 and text.strip(" \t") != "#")
    is_tag = fields[-1] in tags or _is_entity_tag(fields[-1])
    return is_apart and layout.width > 1 and not is_tag


def _is_entity_tag(tag: str) -> bool:
    return _ENTITY_TAG.fullmatch(tag) is not None


# Columns.


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How the lines of a file are divided into columns.

    Attributes:
        width: the number of columns.
        by_tabs: whether lines are divided at tabs, where they have any, so that words may hold
            spaces; else at any tabs and spaces.
        ends_in_tab: whether every line has a tab at its end, behind the last column.
    """

    width: int
    by_tabs: bool
    ends_in_tab: bool = False

    @classmethod
    def of(cls, lines: Sequence[str]) -> _Layout:
        """Returns the layout in which lines have the same number of columns, or most have."""
        by_spaces = [len(_at_spaces(line)) for line in lines]
        if all("\t" in line for line in lines):
            ends = all(line.endswith("\t") for line in lines)
            widths = [line.count("\t") + 1 - ends for line in lines]
            if len(set(by_spaces)) == 1 and by_spaces[0] > max(widths):
                return cls(by_spaces[0], False)
            return cls(_most_common(widths), True, ends)
        if len(set(by_spaces)) == 1:
            return cls(by_spaces[0], False)
        with_tabs = any("\t" in line for line in lines)
        mixed = cls(0, with_tabs)
        return cls(_most_common([len(mixed.fields(line)) for line in lines]), with_tabs)

    def fields(self, line: str) -> list[str]:
        """Returns the columns of a line; not `width` where the line is not like the others."""
        line = line.removesuffix("\t") if self.ends_in_tab else line
        ways = [_at_tabs, _at_spaces] if self.by_tabs and "\t" in line else [_at_spaces]
        if not self.by_tabs and "\t" in line:
            ways.append(_at_tabs)
        if line.startswith("  "):
            ways.append(_behind_space)
        found = [way(line) for way in ways]
        return next((fields for fields in found if len(fields) == self.width), found[0])


def _at_tabs(line: str) -> list[str]:
    # A column of spaces alone is a word of spaces.
    return [part.strip(" ") or part for part in line.split("\t")]


def _at_spaces(line: str) -> list[str]:
    return _SPACES.split(line.strip(" \t"))


def _behind_space(line: str) -> list[str]:
    """Returns the columns of a line whose first is a word of spaces."""
    rest = line.lstrip(" ")
    return [line[: len(line) - len(rest) - 1], *_at_spaces(rest)]


def _most_common(widths: Sequence[int]) -> int:
    """Returns the most common number, the first of several."""
    return Counter(widths).most_common(1)[0][0]


def _split(layout: _Layout, block: _Lines) -> ColumnSentence:
    return ColumnSentence([line for line, _ in block], [layout.fields(text) for _, text in block])


def _column(source: DataSource, argument: str, given: str | None, count: int, default: int) -> int:
    """Returns the index of a column that an argument numbers from 1."""
    if given is None:
        return default
    if not given.isdecimal() or not 1 <= int(given) <= count:
        raise UserError(
            f"{source.title}: {argument}={given}: expected the number of a column, 1 to {count}"
        )
    return int(given) - 1


def _is_usable(
    source: DataSource,
    sentence: ColumnSentence,
    texts: dict[int, str],
    width: int,
    columns: Sequence[int],
) -> bool:
    """Returns whether every line of a sentence has its columns; rejects the sentence if not."""
    for line, fields in zip(sentence.lines, sentence.fields, strict=True):
        reason = None
        if len(fields) != width:
            reason = (
                f"received {len(fields)} column(s) ({shorten(texts[line])!r}), expected {width} "
                "as on most lines"
            )
        elif not all(fields[column] for column in columns):
            reason = "a column is empty, expected a word and its tag"
        if reason is not None:
            row = [texts[number] for number in sentence.lines]
            source.bad_rows.reject(f"{source.title}:{line}", reason, row)
            return False
    return True


# Columns that number the words.


def _is_numbered(sentences: Sequence[ColumnSentence], width: int, labelled: bool = True) -> bool:
    """Returns whether the first column numbers the words of each sentence, from 0 or 1.

    All of it must be numbers, and half of the sentences numbered without a gap: lines may lack.
    """
    if width < (3 if labelled else 2):
        return False
    right = 0
    for sentence in sentences:
        matches = [_NUMBER.fullmatch(fields[0]) for fields in sentence.fields]
        numbers = [int(match[1]) for match in matches if match and not match[2]]
        if None in matches or not numbers:
            return False
        right += numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] < 2
    return 2 * right >= len(sentences)


def _without_ranges(sentence: ColumnSentence) -> ColumnSentence:
    """Returns a sentence without CoNLL-U's ranges (`1-2`) and empty nodes (`5.1`)."""
    kept = list(_plain_numbers(sentence))
    return ColumnSentence([line for line, _ in kept], [fields for _, fields in kept])


def _plain_numbers(sentence: ColumnSentence) -> Iterator[tuple[int, list[str]]]:
    for line, fields in zip(sentence.lines, sentence.fields, strict=True):
        match = _NUMBER.fullmatch(fields[0])
        if match is None or not match[2]:
            yield line, fields


def _tag_of_numbered(rows: Sequence[list[str]], width: int) -> int:
    """Returns the column of the tags in a file whose first column numbers the words.

    Of ten columns it is CoNLL-U's UPOS. Where the third holds tags of entities it is this:
    GermEval's fourth is for entities inside of others. Else it is the last that holds such tags,
    or the last of all.
    """
    if width == _CONLLU_COLUMNS:
        return _CONLLU_TAG
    columns = [
        column
        for column in range(2, width)
        if rows
        and all(_is_entity_tag(row[column]) for row in rows)
        and any(row[column] in ("O", "o") for row in rows)
    ]
    if 2 in columns:
        return 2
    return columns[-1] if columns else width - 1
