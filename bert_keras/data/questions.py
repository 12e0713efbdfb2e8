"""Questions on contexts with their answers, from SQuAD files, tables or lists."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from bert_keras.data import tables
from bert_keras.data.columns import first_column, named_column
from bert_keras.data.json_tables import is_json, read_json
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import as_text, read_columns, read_table
from bert_keras.data.tables import MISSING, as_json, listed, shorten
from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError

_QUESTION = "question"
_ANSWER_TEXTS, _START = ("answer_text", "answer"), "answer_start"
_NO_START = -1
# Truth as JSON has it, and as programs write it into a text or a number.
_TRUTHS = {"true": True, "1": True, "false": False, "0": False, "none": False}
# Stands for a default where a member must be there.
_REQUIRED = object()
# A member "id" of a JSON object, as it is written in the file.
_ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]+)')


class GoldAnswer(NamedTuple):
    """A right answer: its text as written, and where it is said to begin, in characters.

    The start is -1 where none is stated. It need not be right: see `answer_places.locate`.
    """

    text: str
    start: int


@dataclasses.dataclass(frozen=True)
class QuestionExamples:
    """N questions in memory, in the order of the source.

    Attributes:
        ids: the questions' names.
        questions, contexts: what is asked, and the text that holds the answer.
        answers: the right answers of each question, none where it has none in its context;
            or None where answers were not asked for.
        source: the file, as messages name it.
        lines: the line of each question's id, from 1; of lists, the question's number.
    """

    ids: list[str]
    questions: list[str]
    contexts: list[str]
    answers: list[list[GoldAnswer]] | None
    source: str
    lines: list[int]

    def __len__(self) -> int:
        return len(self.questions)

    def where(self, index: int) -> str:
        """`source:line: question ID`, to begin a message with."""
        return f"{self.source}:{self.lines[index]}: question {shorten(self.ids[index])}"

    def row(self, index: int) -> dict[str, Any]:
        """A question as JSON: `id`, `question`, `context` and, where there are, `answers`."""
        row: dict[str, Any] = {
            "id": self.ids[index],
            "question": self.questions[index],
            "context": self.contexts[index],
        }
        if self.answers is not None:
            row["answers"] = [
                {"text": answer.text, "answer_start": answer.start}
                for answer in self.answers[index]
            ]
        return row

    def part(self, start: int, stop: int) -> QuestionExamples:
        """The questions from `start` to before `stop`."""
        names = ("ids", "questions", "contexts", "answers", "lines")
        values = {name: getattr(self, name) for name in names}
        cut = {name: value and value[start:stop] for name, value in values.items()}
        return dataclasses.replace(self, **cut)

    def chosen(self, indices: Sequence[int]) -> QuestionExamples:
        """Returns the questions at these indices."""
        names = ("ids", "questions", "contexts", "answers", "lines")
        values = {name: getattr(self, name) for name in names}
        kept: dict[str, Any] = {
            name: None if value is None else [value[index] for index in indices]
            for name, value in values.items()
        }
        return dataclasses.replace(self, **kept)

    def gold_texts(self) -> list[list[str]]:
        """The right answers of each question, without their places.

        Raises:
            ValueError: the examples were read without answers.
        """
        if self.answers is None:
            raise ValueError("the questions have no answers")
        return [[answer.text for answer in own] for own in self.answers]

    def has_impossible(self) -> bool:
        """Whether a question has no answer in its context, as in SQuAD 2.0."""
        return self.answers is not None and not all(self.answers)


def questions_of(
    questions: Sequence[str],
    contexts: Sequence[str],
    answers: Sequence[Sequence[tuple[str, int]]] | None = None,
    ids: Sequence[str] | None = None,
) -> QuestionExamples:
    """Questions from lists.

    Args:
        questions, contexts: N texts each.
        answers: for each question its right answers as (text, where it begins in the context,
            in characters); an empty list where the context has no answer.
        ids: N names; by default "1", "2" and so on.

    Raises:
        ValueError: the lists differ in length, or an answer is not a text and a number.
    """
    ids = [str(number + 1) for number in range(len(questions))] if ids is None else ids
    counts = [len(part) for part in (questions, contexts, ids, answers) if part is not None]
    if len(set(counts)) > 1:
        raise ValueError(f"questions, contexts, ids and answers differ in number: {counts}")
    gold = None
    if answers is not None:
        gold = [_given_answers(index, own) for index, own in enumerate(answers)]
    lines = list(range(1, len(questions) + 1))
    return QuestionExamples(list(ids), list(questions), list(contexts), gold, "the inputs", lines)


def _given_answers(index: int, answers: Any) -> list[GoldAnswer]:
    """Returns the answers of one question that were passed as (text, start)."""
    found = []
    for number, answer in enumerate(answers):
        try:
            text, start = answer
            found.append(GoldAnswer(text, int(start)))
        except (TypeError, ValueError):
            text = None
        if not isinstance(text, str):
            raise ValueError(
                f"answers[{index}][{number}] is {shorten(answer)}, expected (text, start), a "
                "string and a whole number"
            )
    return _without_placeholders(found)


def _without_placeholders(answers: list[GoldAnswer]) -> list[GoldAnswer]:
    """Returns the answers without empty ones, which data sets put where there is none."""
    return [answer for answer in answers if answer.text.strip()]


def read_questions(source: DataSource, labelled: bool = True) -> QuestionExamples:
    """Reads SQuAD's `.json`, v1.1 or v2.0, or a table with `question` and `context`.

    A `.json` file is an object with `data`, a list of articles, of paragraphs, or of rows as a
    table has them. A table (or JSON lines, Parquet, a TFDS split) may have `id`; with labels it
    has `answers`, each as in SQuAD: a list of `{"text": …, "answer_start": …}` or of texts, or one
    object with lists of both; or it has `answer_text` and, perhaps, `answer_start`.

    A question without answers, or with empty ones, is one that its context does not answer.
    Answers are kept as they are written, wherever they are said to begin: scores need their
    texts only, and training finds their places.

    Raises:
        UserError: one line with file, line, the question's id, the value received and what was
            expected.
    """
    if source.suffix == ".json":
        examples = _read_json(source, labelled)
    else:
        examples = questions_of_table(read_table(source, labelled), source, labelled)
    repeated = len(examples) - len(set(examples.ids))
    if repeated:
        logging.warning("%s: %d question(s) have the id of another", examples.source, repeated)
    return examples


# SQuAD's files.


def _read_json(source: DataSource, labelled: bool) -> QuestionExamples:
    lines = read_lines(source.spec, source.encoding)
    text = "\n".join(lines)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if is_json(lines[0]):
            return questions_of_table(read_json(source, lines), source, labelled)
        raise UserError(
            f"{source.spec}:{error.lineno}: not JSON at character {error.colno} ({error.msg}), "
            "expected a file of SQuAD"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source.spec}: not JSON ({error}), expected a file of SQuAD") from None
    parts = content.get("data", content) if isinstance(content, dict) else content
    rows = parts if isinstance(parts, list) else [parts]
    if rows and isinstance(rows[0], dict) and _QUESTION in rows[0]:
        rewritten = [json.dumps(row) for row in rows]
        return questions_of_table(read_json(source, rewritten), source, labelled)
    found = _Found(source, labelled, _lines_of_ids(text))
    for where, context, question in _squad_questions(source, content):
        found.add(where, context, question)
    if not found.ids:
        raise UserError(f"{source.spec}: has no questions, expected a file of SQuAD with some")
    return QuestionExamples(
        found.ids,
        found.questions,
        found.contexts,
        found.answers if labelled else None,
        source.spec,
        found.lines,
    )


class _Found:
    """The questions of a SQuAD file that can be used, as lists."""

    def __init__(self, source: DataSource, labelled: bool, line_of_id: Mapping[str, int]) -> None:
        self._source, self._labelled, self._line_of_id = source, labelled, line_of_id
        self._number = 0
        self.ids: list[str] = []
        self.questions: list[str] = []
        self.contexts: list[str] = []
        self.answers: list[list[GoldAnswer]] = []
        self.lines: list[int] = []

    def add(self, where: str, context: Any, question: Any) -> None:
        """Adds a question, or rejects it."""
        self._number += 1
        try:
            name, line = self._name(question)
            where = f"{self._source.spec}:{line}: question {shorten(name)}"
            context = _checked_text("context", context)
            asked = _checked_text("question", _member(question, "question"))
            answers = _squad_answers(question) if self._labelled else []
        except ValueError as error:
            self._source.bad_rows.reject(where, str(error), question)
            return
        self.ids.append(name)
        self.lines.append(line)
        self.contexts.append(context)
        self.questions.append(asked)
        self.answers.append(answers)

    def _name(self, question: Any) -> tuple[str, int]:
        """Returns the id of a question, its number where it has none, and its line."""
        value = _member(question, "id", None)
        if value is None:
            return str(self._number), 1
        name = _checked_text("id", str(_as_id(value)))
        return name, self._line_of_id.get(name, 1)


def _lines_of_ids(text: str) -> dict[str, int]:
    """Returns the line on which each "id" is first given."""
    lines: dict[str, int] = {}
    line, before = 1, 0
    for match in _ID.finditer(text):
        line += text.count("\n", before, match.start())
        before = match.start()
        lines.setdefault(str(json.loads(match[1])), line)
    return lines


def _squad_questions(source: DataSource, content: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yields where it is, context and question of each in articles and paragraphs."""
    path = source.spec
    articles = _list(path, content, "data") if isinstance(content, Mapping) else content
    if not isinstance(articles, list):
        raise UserError(f"{path}: received {as_json(content)}, expected an object with 'data'")
    for a, article in enumerate(articles):
        where = f"{path}: data[{a}]"
        is_paragraph = isinstance(article, Mapping) and "paragraphs" not in article
        is_paragraph = is_paragraph and "qas" in article
        paragraphs = [article] if is_paragraph else _list(where, article, "paragraphs")
        for p, paragraph in enumerate(paragraphs):
            inside = where if is_paragraph else f"{where}.paragraphs[{p}]"
            for q, question in enumerate(_list(inside, paragraph, "qas")):
                yield f"{inside}.qas[{q}]", paragraph.get("context", MISSING), question


def _list(where: str, values: Any, name: str) -> list[Any]:
    """Returns a list that an object of the file has under a name."""
    try:
        value = _member(values, name)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    if not isinstance(value, list):
        raise UserError(f"{where}: {name!r} is {as_json(value)}, expected a list")
    return value


def _squad_answers(question: Any) -> list[GoldAnswer]:
    impossible = _flag("is_impossible", _member(question, "is_impossible", False))
    given = _member(question, "answers", [] if impossible else MISSING)
    try:
        answers = _as_answers(given)
    except ValueError as error:
        raise ValueError(f"'answers' {error}") from None
    if impossible and answers:
        raise ValueError(f"received {len(answers)} answer(s), expected none, it is impossible")
    return answers


def _flag(name: str, value: Any) -> bool:
    """Returns true or false, however it is written."""
    written = str(value).strip().lower()
    if written not in _TRUTHS:
        raise ValueError(f"{name} is {as_json(value)}, expected true or false")
    return _TRUTHS[written]


def _checked_text(name: str, value: Any) -> str:
    try:
        return as_text(value)
    except ValueError as error:
        raise ValueError(f"{name!r} {error}") from None


def _member(values: Any, name: str, default: Any = _REQUIRED) -> Any:
    """Returns a member of an object, the default where it has none.

    Raises:
        ValueError: it is no object, or has no such member and there is no default.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"received {as_json(values)}, expected an object with {name!r}")
    if name not in values and default is _REQUIRED:
        raise ValueError(f"has no {name!r}, its keys are {listed(list(values))}")
    return values.get(name, default)


# Tables.


def questions_of_table(
    table: tables.Table, source: DataSource, labelled: bool = True
) -> QuestionExamples:
    """Returns the questions of a table; `source` says which columns, and what of bad rows."""
    question = _column(table, "text_column", source.text_column, "question")
    context = _column(table, "pair_column", source.pair_column, "context")
    converters: dict[str, Callable[[Any], Any]] = {question: as_text, context: as_text}
    if "id" in table.columns:
        converters["id"] = _as_id
    labels = _answer_columns(table, source) if labelled else {}
    converters |= labels
    values, lines = read_columns(table, converters, source.bad_rows)
    by_name = dict(zip(converters, values, strict=True))
    ids = by_name.get("id", [str(number + 1) for number in range(len(lines))])
    answers = None
    if labelled:
        columns = [by_name[name] for name in labels]
        answers = columns[0] if len(columns) == 1 else list(map(_placed, *columns))
    return QuestionExamples(
        [str(value) for value in ids],
        by_name[question],
        by_name[context],
        answers,
        table.source,
        lines,
    )


def _answer_columns(table: tables.Table, source: DataSource) -> dict[str, Callable[[Any], Any]]:
    """Returns the columns that hold the answers: their list, or a text and perhaps its start."""
    named = named_column(table, "label_column", source.label_column)
    text, start = first_column(table, _ANSWER_TEXTS), first_column(table, (_START,))
    if named is None and first_column(table, ("answers",)) is None and text is not None:
        return {text: _as_answers} if start is None else {text: _as_answers, start: _as_start}
    return {_column(table, "label_column", source.label_column, "answers"): _as_answers}


def _placed(answers: list[GoldAnswer], start: int) -> list[GoldAnswer]:
    return [answer._replace(start=start) for answer in answers]


def _column(table: tables.Table, argument: str, given: str | None, usual: str) -> str:
    name = named_column(table, argument, given) or first_column(table, (usual,))
    if name is None:
        raise UserError(
            f"{table.header}: the columns are {listed(table.columns)}, expected {usual}, or "
            f"{argument}=NAME"
        )
    return name


def _as_id(value: Any) -> str | int:
    if value is MISSING:
        raise ValueError("is missing, expected a text or a whole number as in the first line")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"holds {as_json(value)}, expected a text or a whole number")
    return value


def _as_answers(value: Any) -> list[GoldAnswer]:
    """Returns answers without placeholders.

    They are SQuAD's list, a list of texts, one object with the lists `text` and `answer_start`, or
    one text; null is no answer.
    """
    if value is MISSING:
        raise ValueError("is missing, expected a list of answers")
    if isinstance(value, Mapping) and not isinstance(value.get("text"), str):
        texts, starts = value.get("text"), value.get("answer_start")
        if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
            raise ValueError(
                f"holds {as_json(value)}, expected lists text and answer_start of one length"
            )
        value = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    if value is None or isinstance(value, (str, Mapping)):
        value = [] if value is None else [value]
    if not isinstance(value, list):
        raise ValueError(f"holds {as_json(value)}, expected a list of answers")
    return _without_placeholders([_as_answer(answer) for answer in value])


def _as_answer(value: Any) -> GoldAnswer:
    if isinstance(value, str):
        return GoldAnswer(as_text(value), _NO_START)
    text = value.get("text") if isinstance(value, Mapping) else None
    if not isinstance(text, str):
        raise ValueError(
            f"holds {as_json(value)}, expected an object with a text, text, and a whole number, "
            "answer_start"
        )
    return GoldAnswer(as_text(text), _as_start(value.get("answer_start")))


def _as_start(value: Any) -> int:
    """Returns the start of an answer, -1 where none is stated."""
    if value is None or value is MISSING or value == "":
        return _NO_START
    try:
        start = float(value)
    except (TypeError, ValueError):
        start = math.nan
    if isinstance(value, bool) or not start.is_integer():
        raise ValueError(f"holds {as_json(value)}, expected a whole number, answer_start")
    return int(start)
