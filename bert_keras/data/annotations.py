"""What annotation tools write, as sentences of tagged words.

CLUENER, doccano and Label Studio write texts with spans of characters, Kaggle's files a word per
row of a CSV table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bert_keras.data import tables
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.columns import first_column
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import as_label, as_text, read_table
from bert_keras.data.text_words import PlacedWords
from bert_keras.errors import UserError

_CLUENER, _DOCCANO = "CLUENER", "doccano"
_LABEL_STUDIO, _KAGGLE = "Label Studio", "Kaggle's word per row"
# Names of columns, as the tools and their versions have them.
_TEXT_KEYS = ("text", "data", "sentence", "content")
_SPAN_KEYS = ("label", "labels", "entities", "spans", "annotations")
_RESULT_KEYS = ("annotations", "completions")
_SENTENCE_KEYS = ("Sentence #", "sentence_id", "sentence")
_WORD_KEYS = ("Word", "words", "token", "tokens")
_TAG_KEYS = ("Tag", "tags", "labels", "label", "ner_tags", "ner")
# Keys of a span that is an object: of Label Studio and Prodigy, or of doccano.
_START_KEYS, _END_KEYS = ("start", "start_offset"), ("end", "end_offset")


@dataclasses.dataclass(frozen=True)
class Span:
    """Characters from `start` to before `end` that are an entity."""

    start: int
    end: int
    type: str


@dataclasses.dataclass(frozen=True)
class TaggedWords:
    """The words of a text, or of a sentence, and an IOB2 tag for each."""

    words: list[str]
    tags: list[str]


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What a file of an annotation tool holds.

    Attributes:
        tool: what writes such files.
        sentences: one for each text, or each sentence of Kaggle's.
    """

    tool: str
    sentences: list[TaggedWords]


@dataclasses.dataclass(frozen=True)
class _Annotated:
    """A text with its spans, and where it is."""

    line: int
    row: Mapping[str, Any]
    text: str
    spans: list[Span]


def read_annotations(source: DataSource) -> Annotations:
    """Reads a file of CLUENER, doccano, Label Studio or Kaggle; its contents say which.

    Texts are divided into words as BERT's basic tokenization does, so that every span is some
    whole words. A text whose spans overlap, begin or end inside a word, or are not where their
    own text says, goes to `source.bad_rows`; so does a sentence of Kaggle's without a word or tag.

    Raises:
        UserError: the file cannot be read, is of another form, or has a bad row.
    """
    rejected = BadRows(source.bad_rows.skip, source.bad_rows.hint)
    table = read_table(dataclasses.replace(source, bad_rows=rejected))
    source.bad_rows.skipped.extend(rejected.skipped)
    tool = tool_of(table)
    if tool is None:
        raise UserError(
            f"{table.header}: holds no annotations that are known; the columns are "
            f"{tables.listed(table.columns)}, expected the form of {_CLUENER}, {_DOCCANO}, "
            f"{_LABEL_STUDIO} or {_KAGGLE}"
        )
    if tool == _KAGGLE:
        lost = [int(row.where.rpartition(":")[2]) for row in rejected.skipped]
        sentences = list(_sentences_of_rows(table, lost, source.bad_rows))
    else:
        sentences = list(_tagged_texts(table, tool, source.bad_rows))
    if not sentences:
        raise UserError(f"{table.source}: has no rows that can be used")
    return Annotations(tool, sentences)


def refuse_annotations(table: tables.Table) -> None:
    """Raises a UserError that names the converter where a table is of an annotation tool."""
    tool = tool_of(table)
    if tool is not None:
        raise UserError(
            f"{table.source}: has the form of {tool}, expected words and tags: bert-keras convert "
            f"--to=tagged_sentences --from={table.source} --output=FILE.jsonl writes them"
        )


def tool_of(table: tables.Table) -> str | None:
    """Returns the annotation tool whose form a table has, None for other tables."""
    if all(first_column(table, keys) for keys in (_SENTENCE_KEYS, _WORD_KEYS, _TAG_KEYS)):
        columns = [first_column(table, keys) for keys in (_WORD_KEYS, _TAG_KEYS)]
        if all(isinstance(value, str) for name in columns for value in _values(table, name)):
            return _KAGGLE
    results = _values(table, first_column(table, _RESULT_KEYS))
    if "data" in table.columns and any(_has_result(value) for value in results):
        return _LABEL_STUDIO
    if first_column(table, _TEXT_KEYS) is None:
        return None
    values = [value for key in _SPAN_KEYS for value in _values(table, key) if value]
    if any(_is_cluener(value) for value in values):
        return _CLUENER
    if any(_are_spans(value) for value in values):
        return _DOCCANO
    return None


def _values(table: tables.Table, column: str | None) -> list[Any]:
    if column not in table.columns:
        return []
    place = table.columns.index(str(column))
    return [row[place] for row in table.rows]


def _has_result(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(x, dict) and "result" in x for x in value)


def _is_cluener(value: Any) -> bool:
    """Returns whether a value is `{type: {text: [[first, last], …]}}`."""
    return isinstance(value, dict) and all(
        isinstance(texts, dict) and all(isinstance(places, list) for places in texts.values())
        for texts in value.values()
    )


def _are_spans(value: Any) -> bool:
    """Returns whether a value is a list of `[start, end, type]`, or of objects with these."""
    return isinstance(value, list) and all(
        (isinstance(one, list) and len(one) == 3 and isinstance(one[0], int))
        or (isinstance(one, dict) and any(key in one for key in _START_KEYS))
        for one in value
    )


# Texts with spans.


def _tagged_texts(table: tables.Table, tool: str, bad_rows: BadRows) -> Iterator[TaggedWords]:
    spans_of = {
        _CLUENER: _of_cluener,
        _DOCCANO: _of_doccano,
        _LABEL_STUDIO: _of_label_studio,
    }[tool]
    annotated = []
    for index, line in enumerate(table.lines):
        row = table.row_values(index)
        try:
            annotated.append(_Annotated(line, row, *spans_of(row)))
        except ValueError as error:
            bad_rows.reject(f"{table.source}:{line}", str(error), row)
    for one, placed in zip(annotated, _words([one.text for one in annotated]), strict=True):
        try:
            yield TaggedWords(placed.words, _tags(placed, one.spans))
        except ValueError as error:
            bad_rows.reject(f"{table.source}:{one.line}", str(error), one.row)


def _words(texts: Sequence[str]) -> list[PlacedWords]:
    """Returns the words of texts by BERT's basic tokenization, cased."""
    from bert_keras.data.text_words import split_words
    from bert_keras.tokenization import BertTokenizer

    if not texts:
        return []
    # Every word is one token, [UNK] nearly always, where the vocabulary has one character only.
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "."]
    return split_words(BertTokenizer(pieces, lowercase=False), texts)


def _tags(placed: PlacedWords, spans: Sequence[Span]) -> list[str]:
    """Returns an IOB2 tag for each word.

    Raises:
        ValueError: a span is outside of the text, overlaps another, has no words, or begins or
            ends inside a word.
    """
    tags = ["O"] * len(placed.words)
    before: Span | None = None
    for span in sorted(set(spans), key=lambda span: (span.start, span.end, span.type)):
        named = f"{span.start} to {span.end} ({tables.shorten(span.type)})"
        if not 0 <= span.start < span.end <= len(placed.text):
            length = len(placed.text)
            raise ValueError(f"the span {named} is not in the text of {length} characters")
        if before is not None and span.start < before.end:
            raise ValueError(
                f"the spans {before.start} to {before.end} ({tables.shorten(before.type)}) and "
                f"{named} overlap, expected one tag for each word"
            )
        inside = _words_inside(placed, span, named)
        tags[inside.start : inside.stop] = [f"I-{span.type}"] * len(inside)
        tags[inside.start] = f"B-{span.type}"
        before = span
    return tags


def _words_inside(placed: PlacedWords, span: Span, named: str) -> range:
    """Returns the indices of the words that a span is made of."""
    inside = [
        index
        for index, (start, end) in enumerate(zip(placed.starts, placed.ends, strict=True))
        if start < span.end and end > span.start
    ]
    for index in inside:
        if placed.starts[index] < span.start or placed.ends[index] > span.end:
            raise ValueError(
                f"the span {named} begins or ends inside the word "
                f"{tables.shorten(placed.words[index])!r} ({placed.starts[index]} to "
                f"{placed.ends[index]}), expected whole words"
            )
    if not inside:
        raise ValueError(f"the span {named} has no words in it")
    return range(inside[0], inside[-1] + 1)


def _text(row: Mapping[str, Any]) -> str:
    key = next((key for key in _TEXT_KEYS if isinstance(row.get(key), str)), None)
    if key is None:
        raise ValueError(f"has no text, expected one under {tables.listed(_TEXT_KEYS)}")
    return as_text(row[key])


def _of_cluener(row: Mapping[str, Any]) -> tuple[str, list[Span]]:
    """Returns text and spans of `{type: {text: [[first, last], …]}}`, the last inclusive."""
    text, found = _text(row), row.get("label", row.get("labels"))
    if not _is_cluener(found):
        raise ValueError(f"column 'label' holds {tables.as_json(found)}, expected spans by type")
    spans = []
    for kind, texts in found.items():
        for named, places in texts.items():
            for place in places:
                if not isinstance(place, list) or len(place) != 2:
                    raise ValueError(f"has {tables.as_json(place)}, expected first and last")
                span = Span(_offset(place[0]), _offset(place[1]) + 1, as_label(kind))
                spans.append(_checked(text, span, named))
    return text, spans


def _of_doccano(row: Mapping[str, Any]) -> tuple[str, list[Span]]:
    """Returns text and spans of a row of doccano; Label Studio's short form and Prodigy's too."""
    key = next((key for key in _SPAN_KEYS if row.get(key)), None)
    text = _text(row)
    if key is None:
        if not any(name in row for name in _SPAN_KEYS):
            raise ValueError(f"has no spans, expected them under {tables.listed(_SPAN_KEYS)}")
        return text, []
    if not _are_spans(row[key]):
        raise ValueError(
            f"column {key!r} holds {tables.as_json(row[key])}, expected spans: [start, end, type]"
        )
    return text, [_span(text, one) for one in row[key]]


def _of_label_studio(row: Mapping[str, Any]) -> tuple[str, list[Span]]:
    """Returns text and spans of a task: those of its first annotation that was not canceled."""
    key = next((key for key in _RESULT_KEYS if row.get(key)), None)
    done = [
        one
        for one in (row[key] if key and isinstance(row[key], list) else [])
        if isinstance(one, dict) and isinstance(one.get("result"), list)
        if not one.get("was_cancelled")
    ]
    if not done:
        raise ValueError("has no annotation, expected one with a result")
    data = row.get("data")
    if not isinstance(data, dict):
        raise ValueError(f"column 'data' holds {tables.as_json(data)}, expected an object")
    strings = [value for value in data.values() if isinstance(value, str)]
    # The text's name is the user's.
    text = as_text(strings[0]) if len(strings) == 1 else _text(data)
    spans = []
    for one in done[0]["result"]:
        value = one.get("value") if isinstance(one, dict) else None
        # Choices, ratings and relations are no spans.
        if isinstance(value, dict) and "labels" in value:
            spans.append(_span(text, value))
    return text, spans


def _span(text: str, value: Any) -> Span:
    """Returns a span that is a list `[start, end, type]` or an object."""
    if isinstance(value, list):
        start, end, kind = value
        return Span(_offset(start), _offset(end), as_label(kind))
    start = next((value[key] for key in _START_KEYS if key in value), None)
    end = next((value[key] for key in _END_KEYS if key in value), None)
    kind = value.get("labels", value.get("label"))
    if isinstance(kind, list):
        if len(kind) != 1:
            raise ValueError(f"has a span with the types {tables.as_json(kind)}, expected one")
        kind = kind[0]
    span = Span(_offset(start), _offset(end), as_label(kind))
    return _checked(text, span, value.get("text"))


def _checked(text: str, span: Span, named: Any) -> Span:
    """Returns a span whose characters are those that its annotation names.

    JavaScript counts UTF-16 units, two for an emoji: where the characters are others, but the
    units are those, the span is meant in units.

    Raises:
        ValueError: the characters are others.
    """
    if not isinstance(named, str) or text[span.start : span.end] == named:
        return span
    units = text.encode("utf-16-le")
    before = units[: 2 * span.start].decode("utf-16-le", "replace")
    inside = units[2 * span.start : 2 * span.end].decode("utf-16-le", "replace")
    if inside == named:
        return Span(len(before), len(before) + len(inside), span.type)
    raise ValueError(
        f"the span {span.start} to {span.end} ({tables.shorten(span.type)}) holds "
        f"{tables.shorten(text[span.start : span.end])!r}, expected {tables.shorten(named)!r}"
    )


def _offset(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"has the offset {tables.as_json(value)}, expected a whole number")
    return value


# A word per row.


def _sentences_of_rows(
    table: tables.Table, lost: Sequence[int], bad_rows: BadRows
) -> Iterator[TaggedWords]:
    """Yields the sentences of a table with a word per row.

    A row with another number in the column of sentences begins one; an empty cell goes on.

    Args:
        table: the table.
        lost: lines of rows that could not be read; their sentences are left out.
        bad_rows: what becomes of sentences without a word or a tag.
    """
    keys = (_SENTENCE_KEYS, _WORD_KEYS, _TAG_KEYS)
    number, word, tag = (table.position(str(first_column(table, names))) for names in keys)
    groups: list[list[int]] = []
    current = None
    for index, row in enumerate(table.rows):
        if not groups or (str(row[number]).strip() and row[number] != current):
            groups.append([])
            current = row[number]
        groups[-1].append(index)
    starts = [table.lines[group[0]] for group in groups]
    for group, start, following in zip(groups, starts, [*starts[1:], 2**62], strict=True):
        rows = [[table.rows[index][place] for place in (word, tag)] for index in group]
        missing = [index for index, row in zip(group, rows, strict=True) if not all(row)]
        reason = None
        if missing:
            start, reason = table.lines[missing[0]], "has no word or no tag, expected both"
        elif any(start < line < following for line in lost):
            reason = "is the beginning of a sentence with a row that cannot be read"
        if reason is not None:
            bad_rows.reject(f"{table.source}:{start}", reason, rows)
            continue
        yield TaggedWords([own for own, _ in rows], [answer for _, answer in rows])
