"""Sentences of tagged words, from columns, JSON lines, plain text or lists."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from bert_keras.data import annotation_forms, tables
from bert_keras.data.columns import choose_columns, first_column, named_column
from bert_keras.data.examples import Examples, read_kind
from bert_keras.data.json_tables import is_json, read_json
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import as_text, read_columns, read_table
from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError

Words: TypeAlias = list[str]

_DOCUMENT = "-DOCSTART-"
_WORD_KEYS = ("words", "tokens")
_TAG_KEYS = ("tags", "ner_tags", "ner", "pos_tags")
# A character and its place in its word, as the files of Weibo NER have them; a broken emoji is two.
_PLACED = re.compile(r"(\ufffd{2}|.)([0-9]+)")
_A_TAG = re.compile(r"O|[BIES]-.+")


@dataclasses.dataclass(frozen=True)
class TaggedSentences:
    """N sentences in memory, in the order of the source.

    Attributes:
        words: the words of each; of plain texts, None: their words are the tokenizer's.
        tags: a tag for each word, or None where they were not asked for.
        texts: N plain texts, or None where there are words.
        source: the file, as messages name it.
        lines: the line of each sentence's first word, from 1; of lists, its number.
        word_a_line: whether the words of a sentence are on lines of their own.
    """

    words: list[Words] | None
    tags: list[Words] | None
    texts: list[str] | None
    source: str
    lines: list[int]
    word_a_line: bool = False

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, index: int, word: int = 0) -> str:
        """`source:line` of a sentence, or of one of its words, to begin a message with."""
        return f"{self.source}:{self.lines[index] + (word if self.word_a_line else 0)}"

    def row(self, index: int) -> dict[str, Any]:
        """A sentence as JSON: `words` or `text`, and `tags` if it has any."""
        if self.texts is not None:
            return {"text": self.texts[index]}
        assert self.words is not None
        row = {"words": self.words[index]}
        return row if self.tags is None else {**row, "tags": self.tags[index]}

    def part(self, start: int, stop: int) -> TaggedSentences:
        """The sentences from `start` to before `stop`."""
        fields = ("words", "tags", "texts", "lines")
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

    Any file is taken as columns, a word a line and a blank line between sentences, but for
    `.jsonl` and `.json`, an object a line with lists of strings under `words` (or `tokens`) and
    `tags` (or `ner_tags`, `ner`, `pos_tags`); columns of such lists of a `tfds:` split have the
    same names. Sentences to tag may also be plain texts: a line each in `.txt` or `-`, or under
    `text` in `.tsv`, `.csv`, `.jsonl` and `tfds:`; what looks like columns with tags is read as
    such there too. `.gz` of any file is decompressed.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    name = source.spec.removesuffix(".gz").lower()
    if name.startswith("tfds:") or source.suffix == ".parquet":
        table = read_table(source, labelled)
        if labelled or first_column(table, _WORD_KEYS):
            return tagged_of_table(table, source, labelled)
        return _texts_of_table(source)
    if name.endswith(".csv"):
        if labelled:
            header = read_lines(source.spec, source.encoding)[0].split(",")
            columns = [name.strip(' "') for name in header]
            hint = annotation_forms.converter_hint(tables.Table(source.title, columns, [], []))
            raise UserError(
                f"{source.spec}: is no data with tags, expected columns or .jsonl{hint}"
            )
        return _texts_of_table(source)
    lines, title = read_lines(source.spec, source.encoding), source.title
    if name.endswith((".jsonl", ".json")) or (name == "-" and is_json(lines[0])):
        return tagged_of_table(read_json(source, lines), source, labelled)
    plain = not labelled and name.endswith((".txt", ".tsv", "-")) and not _are_columns(lines)
    if plain and name.endswith(".tsv"):
        return _texts_of_table(source)
    if plain:
        return dataclasses.replace(sentences_of(texts=lines), source=title)
    return _read_columns(title, lines, source, labelled)


def _texts_of_table(source: DataSource) -> TaggedSentences:
    found = read_kind(Examples, dataclasses.replace(source, pair_column=None), labelled=False)
    return TaggedSentences(None, None, found.texts, found.source, found.lines)


# Lists of words and tags.


def tagged_of_table(
    table: tables.Table, source: DataSource, labelled: bool = True
) -> TaggedSentences:
    """Returns the sentences of a table; `source` says which columns, and what of bad rows."""
    words = named_column(table, "text_column", source.text_column)
    words = words or first_column(table, _WORD_KEYS)
    if not labelled and not _holds_lists(table, words):
        chosen = choose_columns(table, words, None, None, labelled=False)
        (texts,), lines = read_columns(table, {chosen.text: as_text}, source.bad_rows)
        return TaggedSentences(None, None, texts, table.source, lines)
    words = _known_key(table, "text_column", words, _WORD_KEYS)
    if not labelled:
        (found,), lines = read_columns(table, {words: _as_strings}, source.bad_rows)
        return TaggedSentences(found, None, None, table.source, lines)
    tags = named_column(table, "label_column", source.label_column)
    tags = _known_key(table, "label_column", tags or first_column(table, _TAG_KEYS), _TAG_KEYS)
    converters = {words: _as_strings, tags: _as_strings}
    (found, answers), lines = read_columns(table, converters, source.bad_rows)
    for line, own, answer in zip(lines, found, answers, strict=True):
        if len(own) != len(answer):
            raise UserError(f"{table.source}:{line}: {len(own)} words but {len(answer)} tags")
    return TaggedSentences(found, answers, None, table.source, lines)


def _holds_lists(table: tables.Table, column: str | None) -> bool:
    """Whether a column is there and begins with no text."""
    if column not in table.columns:
        return False
    return not isinstance(table.rows[0][table.columns.index(str(column))], str)


def _known_key(table: tables.Table, argument: str, key: str | None, known: Sequence[str]) -> str:
    if key is None:
        raise UserError(
            f"{table.header}: the keys are {tables.listed(table.columns)}, expected "
            f"{tables.listed(known)}, or {argument}{annotation_forms.converter_hint(table)}"
        )
    return key


def _as_strings(value: Any) -> Words:
    if value is tables.MISSING:
        raise ValueError("is missing, expected a list of strings")
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError(f"holds {tables.as_json(value)}, expected a list of strings")
    return [as_text(part) for part in value]


# Columns.


def _is_blank(line: str) -> bool:
    # Some files have a byte order mark on a line of its own.
    return not line.strip().strip("\ufeff")


def _fields(line: str, separator: str) -> list[str]:
    """The fields of a line: tab separated, or separated by any spaces and tabs."""
    if separator == "\t":
        return [part.strip(" ") for part in line.split("\t")]
    return re.split(r"[ \t]+", line.strip(" \t"))


def _separator(lines: Sequence[str]) -> str:
    first = next((line for line in lines if not _is_blank(line)), "")
    return "\t" if "\t" in first.strip() else " "


def _are_columns(lines: Sequence[str]) -> bool:
    """Whether every line has as many fields as the first, and a tag at its end.

    A text may end like this too, "on I-95" or "of type O": a word outside of entities must be
    among them, and words separated by spaces must be several, or many if they have more columns.
    """
    separator = _separator(lines)
    kept = [line for line in lines if not _is_blank(line) and not line.startswith(_DOCUMENT)]
    rows = [_fields(line, separator) for line in kept]
    width, tags = len(rows[0]) if rows else 0, [row[-1] for row in rows]
    if width < 2 or any(len(row) != width for row in rows) or "O" not in tags:
        return False
    least = 1 if separator == "\t" else 2 if width == 2 else 4
    return len(rows) >= least and all(map(_A_TAG.fullmatch, tags))


def _read_columns(
    title: str, lines: Sequence[str], source: DataSource, labelled: bool
) -> TaggedSentences:
    rows = list(_column_rows(title, lines))
    if not rows:
        raise UserError(f"{title}: has no words, expected a word a line")
    count = len(rows[0][1])
    if labelled and count < 2:
        raise UserError(
            f"{title}:{rows[0][0]}: received {tables.shorten(rows[0][1][0])!r}, expected a word "
            "and, in the last column, its tag"
        )
    word_at = _column(title, "text_column", source.text_column, count, 0)
    tag_at = _column(title, "label_column", source.label_column if labelled else None, count, -1)
    sentences: list[list[list[str]]] = []
    starts: list[int] = []
    line_before = -1
    for line, fields in rows:
        if line != line_before + 1:
            sentences.append([])
            starts.append(line)
        if not fields[word_at] or not fields[tag_at]:
            raise UserError(f"{title}:{line}: a column is empty, expected a word and its tag")
        sentences[-1].append(fields)
        line_before = line
    words = [[fields[word_at] for fields in sentence] for sentence in sentences]
    tags = [[fields[tag_at] for fields in sentence] for sentence in sentences]
    words = _without_places(words)
    return TaggedSentences(words, tags if labelled else None, None, title, starts, True)


def _column_rows(title: str, lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every line with a word."""
    separator, count = _separator(lines), 0
    for line, text in enumerate(lines, start=1):
        if _is_blank(text) or text.startswith(_DOCUMENT):
            continue
        fields = _fields(text, separator)
        count = count or len(fields)
        if len(fields) != count:
            raise UserError(
                f"{title}:{line}: received {len(fields)} column(s) ({tables.shorten(text)!r}), "
                f"expected {count} as on the first line"
            )
        yield line, fields


def _column(title: str, flag: str, given: str | None, count: int, default: int) -> int:
    """The index of a column that a flag numbers from 1."""
    if given is None:
        return default
    if not given.isdecimal() or not 1 <= int(given) <= count:
        raise UserError(f"{title}: --{flag}={given}: expected the number of a column, 1 to {count}")
    return int(given) - 1


def _without_places(sentences: list[Words]) -> list[Words]:
    """Words without the places that segmented Chinese characters carry, as in 科0 技1 全0.

    They are there if every word is a character and a number, and every sentence begins with 0.
    """
    matches = [[_PLACED.fullmatch(word) for word in words] for words in sentences]
    if any(None in row or (row[0] and row[0][2] != "0") for row in matches):
        return sentences
    return [[match[1] for match in row if match] for row in matches]
