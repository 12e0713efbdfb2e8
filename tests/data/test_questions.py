"""Questions from SQuAD files, tables and lists."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from bert_keras.data.bad_rows import BadRows
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
        (_changed(answers=[{"text": "Zoë", "answer_start": "x"}]), "a whole number, answer_start"),
        (_changed(answers=[{"text": "Zoë", "answer_start": 0.5}]), "a whole number, answer_start"),
        (_changed(answers=[{"text": None}]), "expected an object with a text"),
        (_changed(answers=3), "expected a list of answers"),
        (_changed(is_impossible=True), "received 1 answer(s), expected none"),
        (_changed(is_impossible="no"), 'is_impossible is "no", expected true or false'),
        (_changed(question=[3]), "'question' holds [3], expected a text"),
        ([{"id": "a", "question": "Who?"}], "'answers' is missing, expected a list of answers"),
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
        ("[1]", "data[0]: received 1, expected an object with 'paragraphs'"),
        ("1", "received 1, expected an object with 'data'"),
        ('{"data": 1}', "'data' is 1, expected a list"),
        ('{"data": [{"paragraphs": [{"qas": [{"id": 1}]}]}]}', "'context' is missing, expected a"),
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
    with pytest.raises(ValueError, match=r"answers\[0\]\[0\] is Zoë, expected \(text, start\)"):
        questions_of(["Who?"], [CONTEXT], [["Zoë"]])
    with pytest.raises(ValueError, match=r"answers\[0\]\[1\] is .*expected \(text, start\)"):
        questions_of(["Who?"], [CONTEXT], [[("Zoë", 0), (3, 0)]])
    with pytest.raises(ValueError, match="differ in number"):
        questions_of(["Who?"], [])
    with pytest.raises(ValueError, match="have no answers"):
        questions_of(["Who?"], [CONTEXT]).gold_texts()


@pytest.mark.parametrize(
    "members",
    [
        {"answers": []},
        {"answers": [{"text": "", "answer_start": -1}]},
        {"answers": [{"text": " ", "answer_start": 0}], "is_impossible": False},
        {"answers": [], "is_impossible": "true"},
        {"answers": None, "is_impossible": 1},
        {"is_impossible": True, "plausible_answers": [{"text": "Zoë", "answer_start": 0}]},
    ],
)
def test_no_answer_in_every_form(tmp_path: pathlib.Path, members: dict[str, Any]) -> None:
    examples = read_questions(_squad(tmp_path, [{"id": "a", "question": "Who?", **members}]))
    assert examples.answers == [[]] and examples.has_impossible()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # Scores need the texts, whatever is wrong with the starts.
        ([{"text": "Bob", "answer_start": 0}], [("Bob", 0)]),
        ([{"text": "Zoë", "answer_start": "22"}], [("Zoë", 22)]),
        ([{"text": "Zoë"}, {"text": ""}], [("Zoë", -1)]),
        (["Zoë", "李明"], [("Zoë", -1), ("李明", -1)]),
    ],
)
def test_answers_are_kept_as_written(
    tmp_path: pathlib.Path, answers: list[Any], expected: list[tuple[str, int]]
) -> None:
    assert read_questions(_squad(tmp_path, _changed(answers=answers))).answers == [[], expected]


def test_ids_may_be_absent_or_repeat(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [{"question": "Who?", "answers": ["Zoë"]}] * 2
    assert read_questions(_squad(tmp_path, asked)).ids == ["1", "2"]
    with caplog.at_level("WARNING", logger="absl"):
        found = read_questions(_squad(tmp_path, [*ASKED, *ASKED]))
    assert found.ids == ["a", "7", "a", "7"]
    assert "squad.json: 2 question(s) have the id of another" in caplog.text


@pytest.mark.parametrize("wrap", ["data", "list", "lines"])
def test_flat_rows_in_json(tmp_path: pathlib.Path, wrap: str) -> None:
    rows = [
        {"id": 1, "context": CONTEXT, "question": "Who?", "answer_text": "李明", "answer_start": 8},
        {"id": 2, "context": CONTEXT, "question": "Where?", "answer_text": None},
    ]
    content = {
        "data": json.dumps({"version": "1", "data": rows}, indent=1),
        "list": json.dumps(rows),
        "lines": "\n".join(map(json.dumps, rows)),
    }[wrap]
    path = tmp_path / "flat.json"
    path.write_text(content, "utf-8")
    found = read_questions(DataSource(str(path)))
    assert found.ids == ["1", "2"] and found.answers == [[GoldAnswer("李明", 8)], []]


def test_bad_questions_are_skipped(tmp_path: pathlib.Path) -> None:
    asked = [*ASKED, {"id": "b", "question": None, "answers": []}, {"id": "c", "question": "?"}]
    bad_rows = BadRows(skip=True)
    source = dataclasses.replace(_squad(tmp_path, asked), bad_rows=bad_rows)
    assert read_questions(source).ids == ["a", "7"]
    assert [row.reason for row in bad_rows.skipped] == [
        "'question' holds null, expected a text",
        "'answers' is missing, expected a list of answers",
    ]
    assert (
        bad_rows.skipped[0].where.endswith(": question b") and bad_rows.skipped[1].row["id"] == "c"
    )
