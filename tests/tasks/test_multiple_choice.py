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


@pytest.fixture(scope="module")
def task() -> MultipleChoice:
    return _task()


def test_a_choice_has_the_logit_that_it_has_alone(task):
    prepared = task.prepare(_examples())
    together = task.run(prepared)
    assert together.shape == (4, 3) and (together[1:, 2] == -1e9).all()
    for index, (context, choices) in enumerate(zip(CONTEXTS, CHOICES, strict=True)):
        for place, choice in enumerate(choices):
            pair = task.tokenizer([context], [choice], max_length=16)
            alone = float(task._call_function(pair)[0])
            assert together[index, place] == pytest.approx(alone, abs=1e-5)


def test_padded_batches_give_the_logits_and_the_loss_of_the_predictions(task):
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


def test_answers_name_the_choice_and_all_probabilities(task):
    answers = task.predict((CONTEXTS, CHOICES), batch_size=2)
    for answer, choices in zip(answers, CHOICES, strict=True):
        assert len(answer.scores) == len(choices) and sum(answer.scores) == pytest.approx(1)
        assert answer.choice == int(np.argmax(answer.scores))
        assert answer.text == choices[answer.choice]
    assert task.predict(([], [])) == []
    with pytest.raises(UserError, match=r"^x\[1\]\[0\] is \['b'\]; expected two choices or more"):
        task.predict((["a"], [["b"]]))


@pytest.mark.slow
def test_lists_datasets_and_examples_are_the_same_batches(task):
    padded = [row + [""] * (3 - len(row)) for row in CHOICES]
    named = {"context": CONTEXTS, "choices": padded}
    batches = []
    for x, y in (
        ((CONTEXTS, CHOICES), LABELS),
        (tf.data.Dataset.from_tensor_slices(((CONTEXTS, padded), LABELS)).batch(4), None),
        (tf.data.Dataset.from_tensor_slices((named, LABELS)), None),
        (
            tf.data.Dataset.from_tensor_slices(
                ((CONTEXTS, tf.ragged.constant(CHOICES)), LABELS)
            ).batch(4),
            None,
        ),
    ):
        batches += list(task._feature_dataset(x, y, None, 4, shuffle=False))
    assert len(batches) == 4
    prepared = task.prepare(_examples())
    features, labels = task.training_examples(prepared).batch(np.arange(4))
    there = features["padding_mask"]
    for found, answers in batches:
        np.testing.assert_array_equal(found["padding_mask"], there)
        for name in ("token_ids", "segment_ids"):
            np.testing.assert_array_equal(found[name] * there, features[name])
        np.testing.assert_array_equal(answers, labels)


@pytest.mark.slow
def test_it_learns_and_fit_shows_accuracy():
    task = _task(dropout=0.1)
    task.compile(learning_rate=5e-3)
    history = task.fit((CONTEXTS, CHOICES), LABELS, epochs=15, batch_size=4, verbose=0).history
    assert history["loss"][-1] < 0.2 < history["loss"][0]
    assert history["accuracy"][-1] == 1
    scores = task.evaluate(_examples())
    assert scores["accuracy"] == 1 and scores["loss"] < 0.2


def test_saved_and_loaded(tmp_path):
    task = _task(max_length=9)
    task.encoder.enable_lora(2)
    for weight in task.encoder.trainable_variables:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    expected = task.predict((CONTEXTS, CHOICES))
    task.save(tmp_path / "task.keras")
    assert keras.models.load_model(tmp_path / "task.keras").predict((CONTEXTS, CHOICES)) == expected
    task.save_pretrained(tmp_path / "model")
    loaded = MultipleChoice.from_pretrained(tmp_path / "model")
    assert loaded.max_length == 9
    for got, want in zip(loaded.predict((CONTEXTS, CHOICES)), expected, strict=True):
        assert got.scores == pytest.approx(want.scores, abs=1e-5)


def test_the_distance_from_a_teacher_leaves_out_what_is_no_choice(task):
    targets = np.array([[1, 2, -1e9], [0, 1, 2]], np.float32)
    outputs = np.array([[2, 1, -1e9], [0, 1, 2]], np.float32)
    found = task.distance_from(targets, outputs, {}, np.array([0, 0]), None, 1.0)
    soft = np.exp(targets[0, :2]) / np.exp(targets[0, :2]).sum()
    assert float(found) == pytest.approx((soft * (targets[0, :2] - outputs[0, :2])).sum(), rel=1e-5)
