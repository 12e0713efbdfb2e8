"""Sentences of tagged words, from columns, JSON lines, plain text or lists."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from bert_keras.data import annotation_forms, tables
from bert_keras.data.columns import choose_columns, first_column, named_column
from bert_keras.data.delimited import read_tsv
from bert_keras.data.json_tables import is_json, read_json
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import as_text, read_columns, read_table
from bert_keras.data.text_files import read_lines
from bert_keras.data.word_columns import are_word_columns, read_word_columns
from bert_keras.errors import UserError

Words: TypeAlias = list[str]

_WORD_KEYS = ("words", "tokens")
_TAG_KEYS = ("tags", "ner_tags", "ner", "pos_tags")
# A character and its place in its word, as the files of Weibo NER have them; a broken emoji is two.
_PLACED = re.compile(r"(\ufffd{2}|.)([0-9]+)")


@dataclasses.dataclass(frozen=True)
class TaggedSentences:
    """N sentences in memory, in the order of the source.

    Attributes:
        words: the words of each; of plain texts, None: their words are the tokenizer's.
        tags: a tag for each word, or None where they were not asked for.
        texts: N plain texts, or None where there are words.
        source: the file, as messages name it.
        lines: the line of each sentence's first word, from 1; of lists, its number.
        word_lines: the line of each word, where words have lines; else None.
    """

    words: list[Words] | None
    tags: list[Words] | None
    texts: list[str] | None
    source: str
    lines: list[int]
    word_lines: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, index: int, word: int = 0) -> str:
        """`source:line` of a sentence, or of one of its words, to begin a message with."""
        if self.word_lines is not None and self.word_lines[index]:
            return f"{self.source}:{self.word_lines[index][word]}"
        return f"{self.source}:{self.lines[index]}"

    def row(self, index: int) -> dict[str, Any]:
        """A sentence as JSON: `words` or `text`, and `tags` if it has any."""
        if self.texts is not None:
            return {"text": self.texts[index]}
        assert self.words is not None
        row = {"words": self.words[index]}
        return row if self.tags is None else {**row, "tags": self.tags[index]}

    def has_numbers(self) -> bool:
        """Returns whether all tags are numbers, indices of tags that have names elsewhere."""
        tags = {tag for sentence in self.tags or () for tag in sentence}
        return bool(tags) and all(map(str.isdecimal, tags))

    def with_tag_names(self, names: Sequence[str]) -> TaggedSentences:
        """Returns the sentences with names for tags that are numbers, from 0.

        Tags that are no numbers, or names that are, stay as they are.

        Raises:
            UserError: there are not as many names.
        """
        if not self.has_numbers() or any(map(str.isdecimal, names)):
            return self
        named = []
        for sentence, tags in enumerate(self.tags or ()):
            for word, tag in enumerate(tags):
                if int(tag) >= len(names):
                    raise UserError(
                        f"{self.where(sentence, word)}: received the tag {tag}, expected a name or "
                        f"a number below {len(names)}, the number of labels"
                    )
            named.append([names[int(tag)] for tag in tags])
        return dataclasses.replace(self, tags=named)

    def part(self, start: int, stop: int) -> TaggedSentences:
        """The sentences from `start` to before `stop`."""
        fields = ("words", "tags", "texts", "lines", "word_lines")
        values = {name: getattr(self, name) for name in fields}
        cut = {name: value and value[start:stop] for name, value in values.items()}
        return dataclasses.replace(self, **cut)


def sentences_of(
    words: Sequence[Sequence[str]] | None = None,
    tags: Sequence[Sequence[str]] | None = None,
    texts: Sequence[str] | None = None,
) -> TaggedSentences:
    """Sentences from lists: words, with or without tags, or plain texts.

    Raises:
        ValueError: words and tags differ in number, or are not strings.
    """
    if words is not None and tags is not None:
        lengths, tag_lengths = [len(one) for one in words], [len(one) for one in tags]
        if lengths != tag_lengths:
            raise ValueError(f"words and tags differ in number: {lengths} and {tag_lengths}")
    for strings in [*(words or ()), *(tags or ()), texts or ()]:
        for string in strings:
            if isinstance(strings, str) or not isinstance(string, str):
                raise ValueError(f"expected lists of strings, received {string!r} in {strings!r}")
    given = words if texts is None else texts
    return TaggedSentences(
        None if words is None else [list(one) for one in words],
        None if tags is None else [list(one) for one in tags],
        None if texts is None else list(texts),
        "the inputs",
        list(range(1, len(given or ()) + 1)),
    )


def read_tagged(source: DataSource, labelled: bool = True) -> TaggedSentences:
    """Reads tagged sentences, or sentences to tag.

    Any file is taken as columns, a word per line and a blank line between sentences, but for
    `.jsonl`, `.json`, `.parquet` and `tfds:`, tables with lists under `words` (or `tokens`) and
    `tags` (or `ner_tags`, `ner`, `pos_tags`). Sentences to tag may also be plain texts: a line
    each in `.txt` or `-`, or under `text` in any table; what looks like columns with tags is read
    as such there too. `.gz` of any text file is decompressed.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    is_table = source.table is not None or source.suffix in (".parquet", ".csv")
    if is_table or source.spec.startswith("tfds:"):
        return tagged_of_table(read_table(source, labelled), source, labelled)
    lines = read_lines(source.spec, source.encoding)
    if source.suffix in (".jsonl", ".json") or (source.spec == "-" and is_json(lines[0])):
        return tagged_of_table(read_json(source, lines), source, labelled)
    is_text = source.suffix in (".txt", ".tsv") or source.spec == "-"
    if labelled or not is_text or are_word_columns(lines):
        return _of_columns(source, lines, labelled)
    if source.suffix == ".tsv":
        return tagged_of_table(read_tsv(source, lines), source, labelled)
    return dataclasses.replace(sentences_of(texts=lines), source=source.title)


# Lists of words and tags.


def tagged_of_table(
    table: tables.Table, source: DataSource, labelled: bool = True
) -> TaggedSentences:
    """Returns the sentences of a table; `source` says which columns, and what of bad rows.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    words = named_column(table, "text_column", source.text_column)
    words = words or first_column(table, _WORD_KEYS)
    tags = named_column(table, "label_column", source.label_column) if labelled else None
    tags = tags or first_column(table, _TAG_KEYS)
    if not labelled and not _holds_lists(table, words):
        return _texts_to_tag(table, source, words)
    words = _known_key(table, "text_column", words, _WORD_KEYS)
    if not labelled:
        (found,), lines = read_columns(table, {words: _as_words}, source.bad_rows)
        return TaggedSentences(found, None, None, table.source, lines)
    tags = _known_key(table, "label_column", tags, _TAG_KEYS)
    converters = {words: _as_words, tags: _as_tags}
    (found, answers), lines = read_columns(table, converters, source.bad_rows)
    kept = []
    for index, (line, own, answer) in enumerate(zip(lines, found, answers, strict=True)):
        if len(own) == len(answer):
            kept.append(index)
        else:
            reason = f"{len(own)} words but {len(answer)} tags, expected as many"
            row = {words: own, tags: answer}
            source.bad_rows.reject(f"{table.source}:{line}", reason, row)
    if not kept:
        raise UserError(f"{table.source}: has no rows that can be used")
    found, answers, lines = ([part[index] for index in kept] for part in (found, answers, lines))
    return TaggedSentences(found, answers, None, table.source, lines)


def _texts_to_tag(table: tables.Table, source: DataSource, column: str | None) -> TaggedSentences:
    chosen = choose_columns(table, column, None, None, labelled=False)
    (texts,), lines = read_columns(table, {chosen.text: as_text}, source.bad_rows)
    return TaggedSentences(None, None, texts, table.source, lines)


def _holds_lists(table: tables.Table, column: str | None) -> bool:
    """Whether a column is there and begins with no text."""
    if column not in table.columns:
        return False
    return not isinstance(table.rows[0][table.columns.index(str(column))], str)


def _known_key(table: tables.Table, argument: str, key: str | None, known: Sequence[str]) -> str:
    if key is None:
        raise UserError(
            f"{table.header}: the columns are {tables.listed(table.columns)}, expected one of "
            f"{tables.listed(known)}, or {argument}=NAME{annotation_forms.converter_hint(table)}"
        )
    return key


def _as_words(value: Any) -> Words:
    """Returns a list of words; numbers are the texts that they are written as."""
    return [as_text(part) for part in _as_list(value, "words")]


def _as_tags(value: Any) -> Words:
    """Returns a list of tags; numbers, indices of tags that have names elsewhere, as texts."""
    tags = []
    for number, part in enumerate(_as_list(value, "tags"), start=1):
        is_index = isinstance(part, int) and not isinstance(part, bool)
        tag = str(part) if is_index else part
        if not isinstance(tag, str) or not tag.strip():
            raise ValueError(f"has {tables.as_json(part)} at {number}, expected a tag")
        tags.append(as_text(tag))
    return tags


def _as_list(value: Any, what: str) -> list[Any]:
    if value is tables.MISSING:
        raise ValueError(f"is missing, expected a list of {what}")
    if not isinstance(value, list):
        raise ValueError(f"holds {tables.as_json(value)}, expected a list of {what}")
    return value


# Columns.


def _of_columns(source: DataSource, lines: Sequence[str], labelled: bool) -> TaggedSentences:
    found = read_word_columns(source, lines, labelled)
    words = [[row[found.word] for row in sentence.fields] for sentence in found.sentences]
    tags = [[row[found.tag] for row in sentence.fields] for sentence in found.sentences]
    word_lines = [sentence.lines for sentence in found.sentences]
    starts = [own[0] for own in word_lines]
    return TaggedSentences(
        _without_places(words), tags if labelled else None, None, source.title, starts, word_lines
    )


def _without_places(sentences: list[Words]) -> list[Words]:
    """Words without the places that segmented Chinese characters carry, as in 科0 技1 全0.

    They are there if every word is a character and a number, and every sentence begins with 0.
    """
    matches = [[_PLACED.fullmatch(word) for word in words] for words in sentences]
    if any(None in row or (row[0] and row[0][2] != "0") for row in matches):
        return sentences
    return [[match[1] for match in row if match] for row in matches]
