"""MultipleChoice: any number of choices, the loss over those that are there, saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.choices import examples_of_choices
from bert_keras.errors import UserError
from bert_keras.tasks import MultipleChoice
from tests import small

CONTEXTS = ["the film was", "a plot", "it is", "actors"]
CHOICES = [["bad", "good", "not a film"], ["poor !", "great"], ["fine", "awful s"], ["bad", "good"]]
LABELS = [1, 1, 0, 1]


def _task(dropout: float = 0.0, **arguments) -> MultipleChoice:
    keras.utils.set_random_seed(1)
    arguments = {"max_length": 16, "seed": 3, **arguments}
    return MultipleChoice(small.encoder(dropout), small.tokenizer(), **arguments)


def _examples(labels=LABELS):
    return examples_of_choices(CONTEXTS, CHOICES, labels)


def test_a_choice_has_the_logit_that_it_has_alone():
    task = _task()
    prepared = task.prepare(_examples())
    together = task.run(prepared)
    assert together.shape == (4, 3) and (together[1:, 2] == -1e9).all()
    for index, (context, choices) in enumerate(zip(CONTEXTS, CHOICES, strict=True)):
        for place, choice in enumerate(choices):
            pair = small.tokenizer()([context], [choice], max_length=16)
            assert together[index, place] == pytest.approx(float(task(pair)[0]), abs=1e-5)


def test_padded_batches_give_the_logits_and_the_loss_of_the_predictions():
    task = _task()
    prepared = task.prepare(_examples())
    batch = task.training_examples(prepared).batch(np.array([2, 0, 3]))
    logits, expected = np.asarray(task(batch[0])), task.run(prepared)[[2, 0, 3]]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    term = task.loss_terms(logits, batch[1], np.array([1.0, 2.0, 0.0])).terms["loss"]
    wide = np.exp(expected.astype(np.float64))
    losses = -np.log(wide[np.arange(3), batch[1]] / wide.sum(axis=1))
    assert float(term.mean()) == pytest.approx((losses[0] + 2 * losses[1]) / 3, rel=1e-5)
    metrics = task.metrics_of(prepared, task.run(prepared))
    assert np.isfinite(metrics["loss"])
    answers = task.answers(prepared, task.run(prepared))
    right = np.mean([answer.choice == label for answer, label in zip(answers, LABELS, strict=True)])
    assert metrics["accuracy"] == right


def test_answers_name_the_choice_and_all_probabilities():
    answers = _task().predict((CONTEXTS, CHOICES), batch_size=2)
    for answer, choices in zip(answers, CHOICES, strict=True):
        assert len(answer.scores) == len(choices) and sum(answer.scores) == pytest.approx(1)
        assert answer.choice == int(np.argmax(answer.scores))
        assert answer.text == choices[answer.choice]
    assert _task().predict(([], [])) == []
    with pytest.raises(UserError, match="received 1 choice"):
        _task().predict((["a"], [["b"]]))


def test_lists_datasets_and_examples_train_alike():
    padded = [row + [""] * (3 - len(row)) for row in CHOICES]
    dataset = tf.data.Dataset.from_tensor_slices(((CONTEXTS, padded), LABELS)).batch(4)
    ragged = (CONTEXTS, tf.ragged.constant(CHOICES))
    named = {"context": CONTEXTS, "choices": padded}
    runs = []
    for x, y in (
        ((CONTEXTS, CHOICES), LABELS),
        (dataset, None),
        (tf.data.Dataset.from_tensor_slices((ragged, LABELS)).batch(4), None),
        (tf.data.Dataset.from_tensor_slices((named, LABELS)).batch(4), None),
        (_examples(), None),
    ):
        task = _task()
        task.compile(learning_rate=1e-3)
        task.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
        runs.append(task.run(task.prepare(_examples())))
    for other in runs[1:]:
        np.testing.assert_allclose(other, runs[0], atol=2e-4)


def test_it_learns_and_fit_shows_accuracy():
    task = _task(dropout=0.1)
    task.compile(learning_rate=5e-3)
    history = task.fit((CONTEXTS, CHOICES), LABELS, epochs=15, batch_size=4, verbose=0).history
    assert history["loss"][-1] < 0.2 < history["loss"][0]
    assert history["accuracy"][-1] == 1
    assert [answer.choice for answer in task.predict((CONTEXTS, CHOICES))] == LABELS
    scores = task.evaluate((CONTEXTS, CHOICES), LABELS, return_dict=True, verbose=0)
    by_examples = task.evaluate(_examples())
    assert scores["loss"] == pytest.approx(by_examples["loss"], rel=1e-4)
    assert scores["accuracy"] == by_examples["accuracy"] == 1


def test_two_replicas_learn_what_one_does(two_replicas):
    runs = []
    for scope in (tf.distribute.get_strategy(), two_replicas):
        with scope.scope():
            task = _task()
            task.compile(learning_rate=1e-3)
        task.fit((CONTEXTS, CHOICES), LABELS, batch_size=4, shuffle=False, verbose=0)
        runs.append(np.array(task.classifier.kernel))
    np.testing.assert_allclose(runs[1], runs[0], atol=1e-5)


def test_saved_and_loaded(tmp_path):
    task = _task(max_length=9)
    task.encoder.enable_lora(2)
    task.compile(learning_rate=1e-2)
    task.fit((CONTEXTS, CHOICES), LABELS, verbose=0)
    expected = task.predict((CONTEXTS, CHOICES))
    task.save(tmp_path / "task.keras")
    assert keras.models.load_model(tmp_path / "task.keras").predict((CONTEXTS, CHOICES)) == expected
    task.save_pretrained(tmp_path / "model")
    loaded = MultipleChoice.from_pretrained(tmp_path / "model")
    assert loaded.max_length == 9
    for got, want in zip(loaded.predict((CONTEXTS, CHOICES)), expected, strict=True):
        assert got.scores == pytest.approx(want.scores, abs=1e-5)


def test_a_student_learns_from_a_teacher():
    teacher, student = _task(), _task()
    teacher.classifier.kernel.assign(np.random.default_rng(0).normal(size=(32, 1)))
    student.distil_from(teacher, temperature=1.0, weight=1.0)
    student.compile(learning_rate=5e-3)
    student.fit(_examples(), epochs=20, verbose=0)
    pairs = zip(*(task.predict((CONTEXTS, CHOICES)) for task in (student, teacher)), strict=True)
    for got, want in pairs:
        assert got.scores == pytest.approx(want.scores, abs=0.1)
