"""QuestionAnswerer: its head and loss, its answers, its files, and the verbs."""

from __future__ import annotations

import inspect
import json
import pathlib
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras import cli
from bert_keras.data.questions import QuestionExamples, questions_of
from bert_keras.errors import UserError
from bert_keras.tasks import QuestionAnswerer, question_answerer
from tests import small

# Words that are no articles, which the metrics leave out.
NEUTRAL = [word for word in small.WORDS[6:] if word not in ("a", "the")]


def _examples(count: int, seed: int = 0, impossible: float = 0.0) -> QuestionExamples:
    """The answer is the word after "good", if that is there."""
    random = np.random.default_rng(seed)
    contexts, answers = [], []
    for _ in range(count):
        words = [str(word) for word in random.choice(NEUTRAL, 12)]
        place, there = int(random.integers(11)), random.random() >= impossible
        words[place] = "good" if there else "bad"
        contexts.append(" ".join(words))
        start = len(" ".join(words[: place + 1])) + 1
        answers.append([(words[place + 1], start)] if there else [])
    return questions_of(["is it"] * count, contexts, answers)


def _model(**options) -> QuestionAnswerer:
    keras.utils.set_random_seed(1)
    encoder = small.encoder(0.0, add_pooler=False)
    settings = {"max_length": 14, "doc_stride": 4, "max_query_length": 4, **options}
    return QuestionAnswerer(encoder, small.tokenizer(), **settings)


@pytest.fixture(scope="module")
def model() -> QuestionAnswerer:
    return _model()


def test_the_loss_is_the_mean_of_start_and_end_and_knows_no_padding(model) -> None:
    prepared = model.prepare(_examples(6))
    features, labels = prepared.inputs.batch(np.arange(len(prepared.inputs))), prepared.gold
    wider = {name: np.pad(value, [(0, 0), (0, 9)]) for name, value in features.items()}
    term, of_wider = (
        model.loss_terms(model(one, training=True), labels, None).terms["loss"]
        for one in (features, wider)
    )
    want = 0.0
    for own, gold in zip(model.run(prepared).logits, labels, strict=True):
        exact = own.astype(np.float64)
        sums = np.log(np.exp(exact).sum(axis=0))
        want += (sums - exact[gold, [0, 1]]).mean()
    assert float(term.total) == pytest.approx(want, rel=1e-5)
    assert float(of_wider.total) == pytest.approx(want, rel=1e-5)
    assert float(term.weight) == len(labels)
    metrics = model.metrics_of(prepared, model.run(prepared))
    assert metrics["loss"] == pytest.approx(want / len(labels), rel=1e-5)


@pytest.mark.slow
def test_fit_learns_to_answer_and_files_keep_what_it_learnt(tmp_path: pathlib.Path) -> None:
    model = _model()
    model.compile(learning_rate=5e-3)
    model.fit(_examples(256), epochs=5, batch_size=32, verbose=0)
    dev = _examples(32, seed=9)
    assert model.evaluate(dev)["exact_match"] > 80
    pairs = list(zip(dev.questions, dev.contexts, strict=True))
    answers = model.predict(pairs)
    for answer, context in zip(answers, dev.contexts, strict=True):
        assert context[answer.start : answer.end] == answer.answer
        assert answer.answers[0].text == answer.answer and len(answer.answers) <= 20

    model.save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForQuestionAnswering"]
    assert config["bert_keras"]["doc_stride"] == 4
    again = QuestionAnswerer.from_pretrained(tmp_path / "model")
    assert again.options() == model.options() and again.max_length == 14
    model.save(tmp_path / "model.keras")
    kept = keras.saving.load_model(tmp_path / "model.keras")
    for other in (again, kept):
        for got, want in zip(other.predict(pairs), answers, strict=True):
            assert (got.answer, got.start) == (want.answer, want.start)
            assert got.score == pytest.approx(want.score, abs=1e-5)


def test_predict_takes_questions_in_all_their_forms(model) -> None:
    questions, contexts = ["is it", "is it a film"], ["good film", "bad plot"]
    want = model.predict(list(zip(questions, contexts, strict=True)))
    columns = {"question": questions, "context": contexts}
    dataset = tf.data.Dataset.from_tensor_slices(columns).batch(1)
    for x in (columns, (questions, contexts), dataset, questions_of(questions, contexts)):
        assert [one.answer for one in model.predict(x)] == [one.answer for one in want]
    one = model.predict({"question": "is it", "context": "good film"})
    assert [answer.answer for answer in one] == [want[0].answer]
    assert model.predict([]) == []
    for wrong in (["is it"], [("is it",)], (["a"],), {"question": ["a"]}):
        with pytest.raises(ValueError, match="expected"):
            model.predict(wrong)


def test_a_long_context_is_answered_in_windows(model) -> None:
    context = " ".join(NEUTRAL * 8)
    prepared = model.prepare(questions_of(["is it"], [context]))
    assert len(prepared.inputs) > 10 and prepared.inputs.lengths.max() <= 14
    (answer,) = model.answers(prepared, model.run(prepared))
    assert context[answer.start : answer.end] == answer.answer != ""


def _squad(path: pathlib.Path, examples: QuestionExamples) -> str:
    paragraphs = []
    for index in range(len(examples)):
        row = examples.row(index)
        asked = {**row, "is_impossible": not row["answers"]}
        paragraphs.append({"context": asked.pop("context"), "qas": [asked]})
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), "utf-8")
    return str(path)


def _texts(answers: list[dict]) -> list[str]:
    return [answer["text"] for answer in answers] or [""]


@pytest.mark.slow
def test_the_verbs_tune_and_keep_the_null_threshold(
    tmp_path: pathlib.Path, capsys, monkeypatch
) -> None:
    decoded = mock.Mock(side_effect=question_answerer.best_answers)
    monkeypatch.setattr(question_answerer, "best_answers", decoded)
    _model(impossible=True, null_score_threshold=9.0).save_pretrained(tmp_path / "init")
    train = _squad(tmp_path / "train.json", _examples(256, impossible=0.4))
    dev = _squad(tmp_path / "dev.json", _examples(40, seed=5, impossible=0.4))
    command = ["finetune", "--task=question_answering", f"--init={tmp_path}/init", "--epochs=6"]
    command += [f"--train={train}", f"--dev={dev}", "--learning_rate=5e-3", "--seq_length=32"]
    assert cli.main([*command, f"--output_dir={tmp_path}/out"]) == 0
    # Once after each epoch and once at the end, though the threshold is tuned there.
    assert decoded.call_count == 6 + 1
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    # The two sum the same terms in other orders.
    assert metrics["f1"] == pytest.approx(metrics["best_f1"], rel=1e-12) and metrics["f1"] > 50
    assert {"HasAns_exact", "NoAns_f1", "best_exact_thresh"} <= set(metrics)
    own = json.loads((tmp_path / "out" / "model" / "config.json").read_text())["bert_keras"]
    assert own["impossible"] and own["null_score_threshold"] == metrics["best_f1_thresh"]
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        above = row["null_score"] > own["null_score_threshold"]
        assert (row["prediction"] == "") == above
        assert row["context"][row["start"] : row["end"]] == row["prediction"]
        assert (row["exact_match"] == 1.0) == (row["prediction"] in _texts(row["answers"]))
    assert {row["id"] for row in rows} == {str(number) for number in range(1, 41)}
    capsys.readouterr()
    assert cli.main(["evaluate", f"--model={tmp_path}/out/model", f"--data={dev}"]) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == metrics["f1"]
    assert cli.main(["predict", f"--model={tmp_path}/out/model", f"--input={dev}"]) == 0
    answered = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["answer"] for row in answered] == [row["prediction"] for row in rows]


def test_a_threshold_needs_impossible_questions() -> None:
    with pytest.raises(UserError, match="--null_score_threshold: all questions of the inputs"):
        QuestionAnswerer.options_from(_examples(3), {"null_score_threshold": 1.0})
    options = QuestionAnswerer.options_from(_examples(9, impossible=0.5), {"n_best": 5})
    assert options == {"impossible": True, "n_best": 5, "null_score_threshold": 0.0}


def test_the_defaults_are_those_of_run_squad() -> None:
    defaults = inspect.signature(QuestionAnswerer.__init__).parameters
    names = ("max_length", "doc_stride", "max_query_length", "n_best", "max_answer_length")
    assert [defaults[name].default for name in names] == [384, 128, 64, 20, 30]
    assert QuestionAnswerer.default_length == 384
    with pytest.raises(UserError, match=r"max_length is 4, expected at least 5 \(--seq_length\)"):
        _model(max_length=4)


@pytest.mark.slow
def test_fit_learns_that_questions_may_be_impossible(tmp_path: pathlib.Path) -> None:
    model = _model()
    model.compile()
    model.fit(_examples(8), batch_size=8, verbose=0)
    assert not model.impossible
    model.fit(_examples(8, impossible=1.0), batch_size=8, verbose=0)
    model.save_pretrained(tmp_path)
    asked = [("is it", " ".join(NEUTRAL))]
    for one in (model, QuestionAnswerer.from_pretrained(tmp_path)):
        one.null_score_threshold = -1e9
        assert one.impossible and one.predict(asked)[0].answer == ""


def test_a_chosen_threshold_is_not_tuned() -> None:
    dev = _examples(8, impossible=0.5)
    model = _model(impossible=True, null_score_threshold=0.25)
    prepared = model.prepare(dev)
    outputs = model.run(prepared)
    model.tune(prepared, outputs, {"null_score_threshold": 0.25})
    assert model.null_score_threshold == 0.25
    model.tune(prepared, outputs, {})
    assert model.null_score_threshold != 0.25
    metrics = model.metrics_of(prepared, outputs)
    assert metrics["f1"] == pytest.approx(metrics["best_f1"])
