"""Question files in the forms in which they come: what is read, trained on, and scored."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.questions import QuestionExamples, questions_of, read_questions
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError
from bert_keras.tasks import QuestionAnswerer
from bert_keras.tokenization import BertTokenizer
from tests import small

CONTEXT = "The bridge was built in 1889 by a large team. It is 330 m high."
WORDS = "the bridge was built in 1889 by a large team it is 330 m high when how who owns again ? ."

# File, how many questions it has, and the gold texts of the last one.
_READ = [
    ("sq_ok.json", 12, ["330 m"]),
    ("sq_empty_no_flag.json", 13, []),
    ("sq_one_bad.json", 13, ["1889"]),
    ("sq_case.json", 13, ["A large team"]),
    ("sq_space.json", 13, [" a large team"]),
    ("sq_plausible.json", 13, []),
    ("sq_is_impossible_str.json", 13, []),
    ("sq_dup_id.json", 13, ["1889"]),
    ("sq_list.json", 12, ["330 m"]),
    ("sq_hf.jsonl", 8, ["1889", "in 1889"]),
    ("sq_flat.jsonl", 8, ["1889"]),
    ("sq_noid.json", 3, ["1889"]),
]


@pytest.fixture(scope="module")
def model() -> QuestionAnswerer:
    tokenizer = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()])
    config = dataclasses.replace(small.encoder().config, vocab_size=tokenizer.vocab_size)
    encoder = type(small.encoder())(config)
    return QuestionAnswerer(encoder, tokenizer, max_length=32, doc_stride=8)


@pytest.mark.parametrize(("name", "count", "last"), _READ)
def test_read_scored_and_trained_on(assets, model, name, count, last):
    path = assets / "cases" / "files" / name
    if not path.is_file():
        pytest.skip("cases/files is not among the assets of BERT_KERAS_ASSETS")
    examples = read_questions(DataSource(str(path)))
    assert len(examples) == count and len(examples.lines) == count
    assert examples.gold_texts()[-1] == last
    assert set(examples.contexts) == {CONTEXT}
    metrics = model.evaluate(examples)
    assert np.isfinite(metrics["loss"])
    prepared = model.without_unusable(model.prepare(examples), BadRows())
    texts = [_target_text(model, prepared, index) for index in range(count)]
    expected = [own[0].strip().lower() if own else "" for own in examples.gold_texts()]
    assert texts == expected


def _target_text(model: QuestionAnswerer, prepared, index: int) -> str:
    """Returns the text between the targets of the first window that has them."""
    windows = prepared.windows
    for row in range(*windows.splits[index : index + 2]):
        first, last = prepared.labels[row]
        if first:
            shift = windows.first[row] - windows.offsets[row]
            begin, end = windows.contexts.starts[first + shift], windows.contexts.ends[last + shift]
            return CONTEXT[begin:end].lower()
    return ""


def test_a_question_without_answers_is_no_training_example(assets):
    path = assets / "cases" / "files" / "sq_no_answers.json"
    if not path.is_file():
        pytest.skip("cases/files is not among the assets of BERT_KERAS_ASSETS")
    with pytest.raises(UserError, match="question q: 'answers' is missing, expected a list"):
        read_questions(DataSource(str(path)))
    assert read_questions(DataSource(str(path)), labelled=False).questions == ["When?"]


def _examples() -> QuestionExamples:
    right = (CONTEXT[24:28], 24)
    answers = [[right], [("1889", 40)], [("a small team", 30)], [], [("1889", 0), ("330", 52)]]
    return questions_of(["When?"] * 5, [CONTEXT] * 5, answers)


def test_moved_and_absent_answers(model, caplog):
    prepared = model.prepare(_examples())
    with pytest.raises(UserError, match="inputs:3: question 3: the answer 'a small team' is no"):
        model.training_examples(prepared)
    bad_rows = BadRows(skip=True)
    caplog.clear()
    with caplog.at_level("WARNING", logger="absl"):
        usable = model.without_unusable(prepared, bad_rows)
        # Not a second time.
        model.training_examples(usable)
    assert [record.getMessage() for record in caplog.records] == [
        "the inputs:2: question 2: the answer is not at its answer_start; this one and 1 more were "
        "moved to the nearest place that has the text"
    ]
    assert usable.examples.ids == ["1", "2", "4", "5"] and not usable.problems
    assert [_target_text(model, usable, index) for index in range(4)] == [
        "1889",
        "1889",
        "",
        "1889",
    ]
    assert [row.row["id"] for row in bad_rows.skipped] == ["3"]
    assert len(model.training_examples(usable).inputs) == len(usable.inputs)


def test_scores_use_the_texts_and_the_loss_what_can_be_found(model):
    """An absent answer counts in exact match; its windows have no target and no loss."""
    examples = _examples()
    scored = model.evaluate(examples)
    found = [
        answer.answer
        for answer in model.predict(list(zip(["When?"] * 5, [CONTEXT] * 5, strict=True)))
    ]
    golds = examples.gold_texts()
    exact = [
        text.lower() in [gold.lower() for gold in own] if own else not text
        for text, own in zip(found, golds, strict=True)
    ]
    assert scored["exact_match"] == pytest.approx(100 * np.mean(exact))
    kept = examples.chosen([0, 1, 3, 4])
    assert scored["loss"] == pytest.approx(model.evaluate(kept)["loss"], rel=1e-5)


def test_an_answer_without_tokens(model):
    examples = questions_of(
        ["When?"] * 2, ["built \u200b in 1889"] * 2, [[("\u200b", 6)], [("1889", 11)]]
    )
    prepared = model.prepare(examples)
    assert prepared.problems == {0: "the answer '\u200b' has no tokens"} or list(
        prepared.problems
    ) == [0]
    bad_rows = BadRows(skip=True)
    assert model.without_unusable(prepared, bad_rows).examples.ids == ["2"]
    with pytest.raises(UserError, match="has no questions that can be used"):
        model.without_unusable(model.prepare(examples.chosen([0])), BadRows(skip=True))


def test_empty_contexts_and_questions(model):
    found = model.predict([("", CONTEXT), ("When?", ""), ("", "")])
    assert [answer.answer for answer in found][1:] == ["", ""]


@pytest.mark.slow
def test_corrupted_squad_scores_as_the_clean_one(data: pathlib.Path, minilm: pathlib.Path):
    """Wrong starts in 5 % and answers that are absent in 5 % change no score, and are counted."""
    clean = read_questions(DataSource(str(data / "squad" / "xquad.en.json"))).part(0, 200)
    chance = np.random.default_rng(0)
    wrong, absent = chance.permutation(200)[:20].reshape(2, 10)
    answers = [list(own) for own in clean.answers or []]
    for index in wrong:
        text, start = answers[index][0]
        answers[index][0] = answers[index][0]._replace(start=start + 1)
    for index in absent:
        answers[index][0] = answers[index][0]._replace(text="zzzz qqqq")
    model = QuestionAnswerer.from_pretrained(minilm, max_length=128)
    moved = dataclasses.replace(
        clean,
        answers=[answers[i] if i in wrong else own for i, own in enumerate(clean.answers or [])],
    )
    assert model.evaluate(moved) == model.evaluate(clean)
    prepared = model.prepare(dataclasses.replace(clean, answers=answers))
    assert prepared.moved == 10 and sorted(prepared.problems) == sorted(absent.tolist())
    bad_rows = BadRows(skip=True)
    usable = model.without_unusable(prepared, bad_rows)
    assert len(usable.examples) == 190 and len(bad_rows.skipped) == 10
    kept = [index for index in range(200) if index not in set(absent.tolist())]
    np.testing.assert_array_equal(usable.labels, model.prepare(clean.chosen(kept)).labels)
