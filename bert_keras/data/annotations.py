"""Files of annotation tools as tagged sentences: CLUENER, doccano, Label Studio, Kaggle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from bert_keras.data import annotation_forms as forms
from bert_keras.data.delimited import read_csv
from bert_keras.data.json_tables import read_json
from bert_keras.data.label_studio import label_studio_spans
from bert_keras.data.source import DataSource
from bert_keras.data.span_tags import MarkedText, Span, tag_words
from bert_keras.data.table_source import as_label, as_text
from bert_keras.data.tables import MISSING, Table, as_json, listed, shorten
from bert_keras.data.tagged_sentences import TaggedSentences
from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError

# Returns the text of a row with its spans; raises a ValueError where the row cannot be used.
_Parser: TypeAlias = Callable[[Mapping[str, Any]], MarkedText]


@dataclasses.dataclass(frozen=True)
class Annotations:
    """Tagged sentences from a file of an annotation tool.

    Attributes:
        tool: whose form the file has.
        sentences: words and tags in IOB2.
        divided: words that the borders of spans divided.
        moved: spans that are where their stated text is, not where the file has them.
    """

    tool: str
    sentences: TaggedSentences
    divided: int = 0
    moved: int = 0


def read_annotations(source: DataSource) -> Annotations:
    """Reads a file of an annotation tool; the content shows which.

    Args:
        source: JSON objects with spans (CLUENER, doccano, Label Studio), or separated values with
            a word per row (Kaggle); also compressed, `.gz`. Rows whose spans overlap, are outside
            of their text or have another text than stated go to its `bad_rows`.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    lines, skipped = read_lines(source.spec, source.encoding), len(source.bad_rows.skipped)
    first = next(line for line in lines if line.strip()).lstrip()
    table = (read_json if first.startswith(("{", "[")) else read_csv)(source, lines)
    tool = forms.tool_of_table(table)
    if tool is None:
        raise UserError(
            f"{table.header}: no annotations in a known form; the columns are "
            f"{listed(table.columns)}, expected the form of CLUENER (label: {{type: {{text: "
            "[[start, end]]}}), doccano (label: [[start, end, type]]), Label Studio (data and "
            "annotations) or Kaggle (Sentence #, Word, Tag)"
        )
    if tool == forms.KAGGLE:
        for lost in source.bad_rows.skipped[skipped:]:
            raise UserError(f"{lost.where}: {lost.reason}; the row may begin a sentence")
        found = Annotations(tool, _kaggle_sentences(table, source))
    else:
        found = _span_sentences(table, source, tool)
    if not len(found.sentences):
        raise UserError(f"{table.source}: has no rows that can be used")
    return found


def _span_sentences(table: Table, source: DataSource, tool: str) -> Annotations:
    """Returns the rows' texts as tagged words."""
    parse = _parser(table, tool)
    words, tags, lines, divided, moved = [], [], [], 0, 0
    for index, line in enumerate(table.lines):
        row = table.row_values(index)
        try:
            marked = parse(row)
            tagged = tag_words(marked.text, marked.spans)
        except ValueError as error:
            # All tasks of Label Studio are usually on one line.
            which = f"id {as_json(row['id'])}: " if "id" in row else ""
            source.bad_rows.reject(f"{table.source}:{line}", f"{which}{error}", row)
            continue
        words.append(tagged.words)
        tags.append(tagged.tags)
        lines.append(line)
        divided += tagged.divided
        moved += marked.moved
    sentences = TaggedSentences(words, tags, None, table.source, lines)
    return Annotations(tool, sentences, divided, moved)


def _parser(table: Table, tool: str) -> _Parser:
    if tool == forms.CLUENER:
        return _cluener_spans
    if tool == forms.LABEL_STUDIO:
        return label_studio_spans
    column = forms.span_column(table)
    return lambda row: _doccano_spans(row, column)


def _text_of(row: Mapping[str, Any], names: Sequence[str] = ("text",)) -> str:
    """Returns the text of a row, under the first of the names that it has.

    Raises:
        ValueError: it has none of them, or what it has is no text.
    """
    name = next((name for name in names if name in row), names[0])
    value = row.get(name, MISSING)
    try:
        # Offsets into the digits of a number would be a guess.
        if value is not MISSING and not isinstance(value, str):
            raise ValueError(f"holds {as_json(value)}, expected a text")
        return as_text(value)
    except ValueError as error:
        raise ValueError(f"column {name!r} {error}") from None


def _cluener_spans(row: Mapping[str, Any]) -> MarkedText:
    """Reads {type: {text: [[start, end], …]}}, where `end` is the last character."""
    text, types = _text_of(row), row.get("label")
    if not isinstance(types, dict):
        raise ValueError(f"column 'label' holds {as_json(types)}, expected an object of types")
    spans = []
    for name, members in types.items():
        if not isinstance(members, dict):
            raise ValueError(f"type {shorten(name)} holds {as_json(members)}, expected an object")
        for member, places in members.items():
            if not isinstance(places, list):
                raise ValueError(
                    f"{shorten(member)!r} has places {as_json(places)}, expected pairs"
                )
            spans += [_cluener_span(text, name, member, place) for place in places]
    return MarkedText(text, spans)


def _cluener_span(text: str, name: str, member: str, place: Any) -> Span:
    if not isinstance(place, list) or len(place) != 2 or not all(map(_is_offset, place)):
        raise ValueError(f"{shorten(member)!r} is at {as_json(place)}, expected [start, end]")
    start, last = place
    if text[start : last + 1] != member:
        hint = " (end is the last character, not the one after it)"
        raise ValueError(
            f"characters {start} to {last} are {shorten(text[start : last + 1])!r}, expected "
            f"{shorten(member)!r}{hint if text[start:last] == member else ''}"
        )
    return Span(start, last + 1, as_label(name))


def _doccano_spans(row: Mapping[str, Any], column: str) -> MarkedText:
    """Reads [[start, end, type], …], or objects with `start_offset`, `end_offset`, `label`."""
    text, spans = _text_of(row, ("text", "data")), row.get(column)
    if not isinstance(spans, list):
        raise ValueError(f"column {column!r} holds {as_json(spans)}, expected a list of spans")
    return MarkedText(text, [_doccano_span(span) for span in spans])


def _doccano_span(span: Any) -> Span:
    parts = span
    if isinstance(span, dict):
        parts = [span.get(name) for name in ("start_offset", "end_offset", "label")]
    if not isinstance(parts, list) or len(parts) != 3 or not all(map(_is_offset, parts[:2])):
        raise ValueError(f"span {as_json(span)}, expected [start, end, type]")
    if not isinstance(parts[2], str):
        raise ValueError(
            f"span {as_json(span)} has the type {as_json(parts[2])}, expected its name: export "
            "as JSONL with text labels"
        )
    return Span(parts[0], parts[1], as_label(parts[2]))


def _is_offset(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _kaggle_sentences(table: Table, source: DataSource) -> TaggedSentences:
    """Returns the sentences of rows of words; the first row of each names it, or every row does.

    A row that cannot be used makes its whole sentence unusable.
    """
    folded = [name.lower() for name in table.columns]
    mark_at, word_at, tag_at = (folded.index(name) for name in forms.KAGGLE_COLUMNS)
    starts: list[int] = []
    mark_before = ""
    for index, row in enumerate(table.rows):
        mark = _cell(row[mark_at])
        if (mark and mark != mark_before) or not index:
            starts.append(index)
            mark_before = mark
    words, tags, lines = [], [], []
    for start, stop in zip(starts, [*starts[1:], len(table.rows)], strict=True):
        problem = None
        if not _cell(table.rows[start][mark_at]):
            problem = start, "the first row names no sentence, expected one in column 'Sentence #'"
        for index in range(start, stop):
            row = table.rows[index]
            if not _cell(row[word_at]) or not _cell(row[tag_at]):
                problem = problem or (index, "word or tag is empty, expected both")
        if problem is not None:
            where = f"{table.source}:{table.lines[problem[0]]}"
            rows = [table.row_values(index) for index in range(start, stop)]
            source.bad_rows.reject(where, f"{problem[1]}; its sentence cannot be used", rows)
            continue
        words.append([_cell(row[word_at]) for row in table.rows[start:stop]])
        tags.append([_cell(row[tag_at]) for row in table.rows[start:stop]])
        lines.append(table.lines[start])
    return TaggedSentences(words, tags, None, table.source, lines)


def _cell(value: Any) -> str:
    """Returns a value of a table as text without white space around it; "" for none."""
    if value is MISSING or value is None:
        return ""
    return value.strip() if isinstance(value, str) else as_json(value)
