"""Questions from SQuAD files, tables and lists."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from bert_keras.data.questions import GoldAnswer, QuestionExamples, questions_of, read_questions
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

CONTEXT = "Zoë met 李明 in “Rome”. Zoë left."
ASKED = [
    {"id": "a", "question": "Who?", "answers": [{"text": "李明", "answer_start": 8}]},
    {"id": 7, "question": "Where?", "answers": [], "is_impossible": True},
]


def _squad(folder: pathlib.Path, asked: list[dict[str, Any]]) -> DataSource:
    data = [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": asked}]}]
    path = folder / "squad.json"
    path.write_text(json.dumps({"version": "v2.0", "data": data}, indent=1), "utf-8")
    return DataSource(str(path))


def _line_of(source: DataSource, text: str) -> int:
    lines = pathlib.Path(source.spec).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_squad_files_give_questions_with_their_lines(tmp_path: pathlib.Path) -> None:
    source = _squad(tmp_path, ASKED)
    examples = read_questions(source)
    assert examples.ids == ["a", "7"] and examples.contexts == [CONTEXT] * 2
    assert examples.answers == [[GoldAnswer("李明", 8)], []]
    assert examples.has_impossible() and examples.gold_texts() == [["李明"], []]
    assert examples.lines == [_line_of(source, '"id": "a"'), _line_of(source, '"id": 7')]
    assert examples.where(1) == f"{source.spec}:{examples.lines[1]}: question 7"
    assert examples.row(0) == {**ASKED[0], "context": CONTEXT}
    assert examples.part(1, 2).row(0)["answers"] == []
    unlabelled = read_questions(source, labelled=False)
    assert unlabelled.answers is None and "answers" not in unlabelled.row(0)


def _changed(**members: Any) -> list[dict[str, Any]]:
    return [ASKED[1], {**ASKED[0], **members}]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (_changed(answers=[{"text": "李明", "answer_start": 9}]), "expected '李明', which is at 8"),
        (_changed(answers=[{"text": "Zoë", "answer_start": 23}]), "which is at 22"),
        (_changed(answers=[{"text": "Bob", "answer_start": 0}]), "which is not in the context"),
        (_changed(answers=[{"text": "Zoë", "answer_start": -32}]), "answer_start -32 has ''"),
        (_changed(answers=[{"text": " ", "answer_start": 3}]), "an answer is empty"),
        (_changed(answers=[{"text": "Zoë", "answer_start": "0"}]), "a whole number, answer_start"),
        (_changed(answers=[]), "received 0 answer(s), expected one or more, or is_impossible"),
        (_changed(is_impossible=True), "received 1 answer(s), expected none"),
        (_changed(is_impossible="no"), 'is_impossible is "no", expected true or false'),
        (_changed(question=3), "'question' is 3, expected a text"),
        ([{"id": "a", "question": "Who?"}], "has no 'answers', its keys are id, question"),
        (_changed(id="7"), "question 7 is there more than once"),
        ([], "has no questions"),
    ],
)
def test_a_wrong_question_is_named(
    tmp_path: pathlib.Path, asked: list[dict[str, Any]], message: str
) -> None:
    source = _squad(tmp_path, asked)
    with pytest.raises(UserError) as caught:
        read_questions(source)
    assert message in str(caught.value)
    if asked:
        line = _line_of(source, '"id": "a"' if '"a"' in json.dumps(asked) else '"id": ')
        assert str(caught.value).startswith(f"{source.spec}:{line}: question ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "received [1], expected an object with 'data'"),
        ('{"data": 1}', "'data' is 1, expected a list"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "data[0].paragraphs[0]: has no 'context'"),
        ('{"data": [{"title": ""}]}', "data[0]: has no 'paragraphs', its keys are title"),
        ('{"data":\n [}', ":2: not JSON at character 3"),
        ('{"data": []}', "has no questions"),
    ],
)
def test_a_broken_file_is_named(tmp_path: pathlib.Path, content: str, message: str) -> None:
    path = tmp_path / "squad.json"
    path.write_text(content, "utf-8")
    with pytest.raises(UserError) as caught:
        read_questions(DataSource(str(path)))
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def _jsonl(folder: pathlib.Path, *rows: dict[str, Any]) -> DataSource:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return DataSource(str(path))


def test_json_lines_hold_questions_with_or_without_answers(tmp_path: pathlib.Path) -> None:
    lists = {"text": ["Zoë", "Zoë"], "answer_start": [0, 22]}
    source = _jsonl(
        tmp_path,
        {"question": "Who?", "context": CONTEXT, "answers": lists},
        {"question": "Who?", "context": CONTEXT, "answers": ASKED[0]["answers"]},
    )
    examples = read_questions(source)
    assert examples.ids == ["1", "2"]
    assert examples.answers == [
        [GoldAnswer("Zoë", 0), GoldAnswer("Zoë", 22)],
        [GoldAnswer("李明", 8)],
    ]
    assert read_questions(source, labelled=False).questions == ["Who?", "Who?"]
    with pytest.raises(UserError, match=r"questions.jsonl:1: .*lists text and answer_start"):
        read_questions(
            _jsonl(tmp_path, {"question": "", "context": "", "answers": {"text": ["a"]}})
        )
    with pytest.raises(UserError, match="expected context"):
        read_questions(_jsonl(tmp_path, {"question": "Who?"}), labelled=False)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([{"id": "7"}, {"id": 8}, {"id": 7}], ":1: question 7 is there more than once"),
        ([{"id": "7"}, {}], ":2: column 'id' is missing, expected a text or a whole number"),
        ([{"id": "7"}, {"id": 0.5}], ":2: column 'id' holds 0.5, expected a text or a whole numb"),
    ],
)
def test_ids_of_json_lines_are_checked(
    tmp_path: pathlib.Path, ids: list[dict[str, Any]], message: str
) -> None:
    source = _jsonl(tmp_path, *({**own, "question": "Who?", "context": "Zoë"} for own in ids))
    with pytest.raises(UserError) as caught:
        read_questions(source, labelled=False)
    assert str(caught.value).startswith(source.spec + message)


def test_an_id_that_is_no_text_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="'id' is not valid Unicode at character 1"):
        read_questions(_squad(tmp_path, _changed(id="\ud800")))


def test_questions_from_lists_are_checked() -> None:
    examples = questions_of(["Who?"], [CONTEXT], [[("Zoë", 22)]], ids=["x"])
    assert isinstance(examples, QuestionExamples) and examples.lines == [1]
    with pytest.raises(UserError, match="the inputs:1: question 1: answer_start 1"):
        questions_of(["Who?"], [CONTEXT], [[("Zoë", 1)]])
    with pytest.raises(UserError, match="the inputs:1: question x is there more than once"):
        questions_of(["Who?", "Where?"], ["", ""], ids=["x", "x"])
    with pytest.raises(ValueError, match="differ in number"):
        questions_of(["Who?"], [])
    with pytest.raises(ValueError, match="have no answers"):
        questions_of(["Who?"], [CONTEXT]).gold_texts()
