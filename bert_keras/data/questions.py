"""Questions on contexts with their answers, from SQuAD files, tables or lists."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bert_keras.data import tables
from bert_keras.data.columns import first_column, named_column
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import as_text, read_columns, read_table
from bert_keras.data.tables import MISSING, as_json, listed, shorten
from bert_keras.data.text_files import read_lines
from bert_keras.errors import UserError

# A member "id" of a JSON object, as it is written in the file.
_ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]+)')


class GoldAnswer(NamedTuple):
    """A right answer: its text, and where this begins in the context, in characters."""

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
        ValueError: the lists differ in length.
        UserError: an answer is not where it is said to be, or an id is there twice.
    """
    ids = [str(number + 1) for number in range(len(questions))] if ids is None else ids
    counts = [len(part) for part in (questions, contexts, ids, answers) if part is not None]
    if len(set(counts)) > 1:
        raise ValueError(f"questions, contexts, ids and answers differ in number: {counts}")
    gold = None
    if answers is not None:
        gold = [[GoldAnswer(str(text), int(start)) for text, start in own] for own in answers]
    lines = list(range(1, len(questions) + 1))
    return _checked(
        QuestionExamples(list(ids), list(questions), list(contexts), gold, "the inputs", lines)
    )


def read_questions(source: DataSource, labelled: bool = True) -> QuestionExamples:
    """Reads SQuAD's `.json`, v1.1 or v2.0, or a table with `question` and `context`.

    A table (`.jsonl`, or `.tsv`, `.csv` of unlabelled questions) may have `id`; with labels it
    has `answers`, each as in SQuAD: a list of `{"text": …, "answer_start": …}`, or one object
    with lists of both. A question without answers is one that its context does not answer; in
    SQuAD's `.json` it must be marked `is_impossible`.

    Raises:
        UserError: one line with file, line, the question's id, the value received and what was
            expected; an answer that is not at its place in the context is one.
    """
    if source.spec.removesuffix(".gz").lower().endswith(".json"):
        return _checked(_read_squad(source, labelled))
    return _checked(_read_table(source, labelled))


def _checked(examples: QuestionExamples) -> QuestionExamples:
    """The examples, every answer of which is in its context where it says, and no id twice."""
    first: dict[str, int] = {}
    for index, name in enumerate(examples.ids):
        if first.setdefault(name, index) != index:
            raise UserError(f"{examples.where(first[name])} is there more than once")
    if examples.answers is None:
        return examples
    for index, (context, answers) in enumerate(
        zip(examples.contexts, examples.answers, strict=True)
    ):
        for text, start in answers:
            found = context[start : start + len(text)] if start >= 0 else ""
            if not text.strip():
                raise UserError(f"{examples.where(index)}: an answer is empty")
            if found != text:
                there = [match.start() for match in re.finditer(re.escape(text), context)]
                nearest = min(there, key=lambda place: abs(place - start), default=None)
                hint = "is not in the context" if nearest is None else f"is at {nearest}"
                raise UserError(
                    f"{examples.where(index)}: answer_start {start} has {shorten(found)!r}, "
                    f"expected {shorten(text)!r}, which {hint}"
                )
    return examples


# SQuAD's files.


def _read_squad(source: DataSource, labelled: bool) -> QuestionExamples:
    path = source.spec
    text = "\n".join(read_lines(path, source.encoding))
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{error.lineno}: not JSON at character {error.colno} ({error.msg}), "
            "expected a file of SQuAD"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}), expected a file of SQuAD") from None
    lines = _lines_of_ids(text)
    found = QuestionExamples([], [], [], [] if labelled else None, path, [])
    for where, context, question in _squad_questions(path, content):
        name = str(_member(where, question, "id", (str, int), "a text"))
        _text(where, {"id": name}, "id")
        line = lines.get(name, 1)
        where = f"{path}:{line}: question {shorten(name)}"
        found.ids.append(name)
        found.lines.append(line)
        found.contexts.append(context)
        found.questions.append(_text(where, question, "question"))
        if found.answers is not None:
            found.answers.append(_squad_answers(where, question))
    if not len(found):
        raise UserError(f"{path}: has no questions, expected a file of SQuAD with some")
    return found


def _lines_of_ids(text: str) -> dict[str, int]:
    """The line on which each "id" is first given."""
    lines: dict[str, int] = {}
    line, before = 1, 0
    for match in _ID.finditer(text):
        line += text.count("\n", before, match.start())
        before = match.start()
        lines.setdefault(str(json.loads(match[1])), line)
    return lines


def _squad_questions(path: str, content: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Where it is, context and question of each in articles and paragraphs."""
    for a, article in enumerate(_member(path, content, "data", list, "a list")):
        where = f"{path}: data[{a}]"
        for p, paragraph in enumerate(_member(where, article, "paragraphs", list, "a list")):
            inside = f"{where}.paragraphs[{p}]"
            context = _text(inside, paragraph, "context")
            for q, question in enumerate(_member(inside, paragraph, "qas", list, "a list")):
                yield f"{inside}.qas[{q}]", context, question


def _squad_answers(where: str, question: Mapping[str, Any]) -> list[GoldAnswer]:
    impossible = question.get("is_impossible", False)
    if not isinstance(impossible, bool):
        raise UserError(f"{where}: is_impossible is {as_json(impossible)}, expected true or false")
    if impossible and not question.get("answers"):
        return []
    value = _member(where, question, "answers", list, "a list")
    try:
        answers = _as_answers(value)
    except ValueError as error:
        raise UserError(f"{where}: 'answers' {error}") from None
    if impossible == bool(answers):
        expected = "none, it is impossible" if impossible else "one or more, or is_impossible"
        raise UserError(f"{where}: received {len(answers)} answer(s), expected {expected}")
    return answers


def _text(where: str, values: Any, name: str) -> str:
    value = _member(where, values, name, str, "a text")
    try:
        return as_text(value)
    except ValueError as error:
        raise UserError(f"{where}: {name!r} {error}") from None


def _member(where: str, values: Any, name: str, kind: Any, expected: str) -> Any:
    """A member of an object in the file, of the kind that is expected."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: received {as_json(values)}, expected an object with {name!r}")
    if name not in values:
        raise UserError(f"{where}: has no {name!r}, its keys are {listed(list(values))}")
    if not isinstance(values[name], kind) or isinstance(values[name], bool):
        raise UserError(f"{where}: {name!r} is {as_json(values[name])}, expected {expected}")
    return values[name]


# Tables.


def _read_table(source: DataSource, labelled: bool) -> QuestionExamples:
    return questions_of_table(read_table(source, labelled), source, labelled)


def questions_of_table(
    table: tables.Table, source: DataSource, labelled: bool = True
) -> QuestionExamples:
    """Returns the questions of a table; `source` says which columns, and what of bad rows."""
    question = _column(table, "text_column", source.text_column, "question")
    context = _column(table, "pair_column", source.pair_column, "context")
    converters: dict[str, Callable[[Any], Any]] = {question: as_text, context: as_text}
    if "id" in table.columns:
        converters["id"] = _as_id
    if labelled:
        answers = _column(table, "label_column", source.label_column, "answers")
        converters[answers] = _as_answers
    values, lines = read_columns(table, converters, source.bad_rows)
    by_name = dict(zip(converters, values, strict=True))
    ids = by_name.get("id", [str(number + 1) for number in range(len(lines))])
    return QuestionExamples(
        [str(value) for value in ids],
        by_name[question],
        by_name[context],
        by_name[answers] if labelled else None,
        table.source,
        lines,
    )


def _column(table: tables.Table, argument: str, given: str | None, usual: str) -> str:
    name = named_column(table, argument, given) or first_column(table, (usual,))
    if name is None:
        raise UserError(
            f"{table.header}: the columns are {listed(table.columns)}, expected {usual}, or "
            f"{argument}"
        )
    return name


def _as_id(value: Any) -> str | int:
    if value is MISSING:
        raise ValueError("is missing, expected a text or a whole number as in the first line")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"holds {as_json(value)}, expected a text or a whole number")
    return value


def _as_answers(value: Any) -> list[GoldAnswer]:
    """SQuAD's list of answers, or one object with the lists `text` and `answer_start`."""
    if value is MISSING:
        raise ValueError("is missing, expected a list of answers")
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
            raise ValueError(
                f"holds {as_json(value)}, expected lists text and answer_start of one length"
            )
        value = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    if not isinstance(value, list):
        raise ValueError(f"holds {as_json(value)}, expected a list of answers")
    return [_as_answer(answer) for answer in value]


def _as_answer(value: Any) -> GoldAnswer:
    text = value.get("text") if isinstance(value, Mapping) else None
    start = value.get("answer_start") if isinstance(value, Mapping) else None
    if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
        raise ValueError(
            f"holds {as_json(value)}, expected an object with a text, text, and a whole number, "
            "answer_start"
        )
    return GoldAnswer(text, start)
