"""Distillation: the student comes to answer as its teacher does, and by the formula."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras import checkpoints, cli
from bert_keras.errors import UserError
from bert_keras.tasks.distillation import Distillation, soft_divergence
from bert_keras.tasks.teacher import load_teacher
from bert_keras.tokenization import BertTokenizer
from tests import small
from tests.tasks import kinds


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_divergence_and_its_gradient_are_those_of_the_formula(temperature):
    targets, logits = np.random.default_rng(0).normal(size=(2, 5, 3)) * 3
    with tf.GradientTape() as tape:
        own = tf.constant(logits)
        tape.watch(own)
        found = soft_divergence(tf.constant(targets), own, temperature)
    soft, student = _softmax(targets / temperature), _softmax(logits / temperature)
    expected = temperature**2 * (soft * np.log(soft / student)).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # Hinton et al. 2015, equation 2, times T squared.
    gradient = tape.gradient(found, own)
    np.testing.assert_allclose(gradient, temperature * (student - soft), rtol=1e-6, atol=1e-9)


def _distance(student, teacher) -> float:
    features, labels, *_ = kinds.first_batch(student)
    outputs, targets = student(features), teacher(features)
    return float(student.distance_from(targets, outputs, features, labels, None, 1.0))


@pytest.mark.parametrize("kind", kinds.MARKED_KINDS)
def test_a_student_comes_to_answer_as_its_teacher(kind):
    teacher, student = kinds.task(kind, seed=5), kinds.task(kind, seed=1, layers=1)
    before = kinds.values(teacher)
    own = [weight.path for weight in student.variables]
    far = _distance(student, teacher)
    student.distil_from(teacher, temperature=1.5, weight=1.0)
    kinds.train(student, steps=100, learning_rate=5e-3, weight_decay=0.0)
    assert _distance(student, teacher) < 0.05 * far
    # The teacher has not moved, and is no part of the student.
    assert [weight.path for weight in student.variables] == own
    for path, value in kinds.values(teacher).items():
        np.testing.assert_array_equal(value, before[path])


@pytest.mark.parametrize("kind", kinds.MARKED_KINDS)
@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_the_loss_is_the_weighted_sum_of_both(kind, weight):
    teacher, student = kinds.task(kind, seed=5), kinds.task(kind, layers=1)
    features, labels, *_ = kinds.first_batch(student)
    outputs, targets = student(features), teacher(features)
    alone = student.compute_step(features, labels, None, training=False)
    (term,) = alone.terms.values()
    distance = student.distance_from(targets, outputs, features, labels, None, 2.0)
    assert float(distance) > 0
    assert float(student.distance_from(outputs, outputs, features, labels, None, 2.0)) < 1e-6
    (mixed,) = Distillation(teacher, 2.0, weight)._mixed(alone, distance).terms.values()
    expected = (1 - weight) * float(term.total) + weight * float(distance)
    assert float(mixed.total) == pytest.approx(expected, rel=1e-6)
    assert float(mixed.weight) == float(term.weight)


@pytest.mark.slow
def test_without_weight_the_update_is_that_without_a_teacher():
    alone, student = kinds.task("classification"), kinds.task("classification")
    student.distil_from(kinds.task("classification", seed=5), weight=0.0)
    for task in (alone, student):
        kinds.train(task)
    for path, value in kinds.values(alone).items():
        np.testing.assert_array_equal(kinds.values(student)[path], value, err_msg=path)


@pytest.mark.slow
def test_fit_learns_from_the_teacher_and_saves_the_student_alone(tmp_path):
    texts, labels = small.sentences(32)
    teacher, student = small.classifier(seed=7), small.classifier()
    teacher.classifier.bias.assign([-9.0, 9.0])
    student.distil_from(teacher, weight=1.0)
    student.compile(learning_rate=1e-2)
    student.fit(texts, labels, batch_size=8, epochs=3, verbose=0)
    # What the labels never say: everything is positive.
    assert {answer.label for answer in student.predict(texts)} == {"positive"}
    student.save(tmp_path / "student.keras")
    again = keras.saving.load_model(tmp_path / "student.keras")
    assert len(again.weights) == len(student.weights)


def test_labels_are_matched_by_name(tmp_path):
    teacher = small.classifier(labels=["positive", "negative"])
    teacher.save_pretrained(tmp_path)
    loaded = load_teacher(tmp_path, small.classifier(labels=["negative", "positive"]))
    assert loaded.labels == ["negative", "positive"]
    for got, want in zip(loaded.predict(["good"]), teacher.predict(["good"]), strict=True):
        assert got.scores == pytest.approx(want.scores, abs=1e-6)
    with pytest.raises(UserError, match="its labels are"):
        load_teacher(tmp_path, small.classifier(labels=["negative", "neutral", "positive"]))


def test_what_is_no_teacher_is_refused(tmp_path):
    student = small.classifier()
    with pytest.raises(UserError, match="is a BertEncoder, the student a TextClassifier"):
        student.distil_from(student.encoder)
    with pytest.raises(UserError, match="its labels are"):
        student.distil_from(small.classifier(labels=["positive", "negative"]))
    other = small.classifier()
    other.tokenizer = BertTokenizer([*small.VOCABULARY[:-1], "?"])
    with pytest.raises(UserError, match="its vocabulary"):
        student.distil_from(other)
    with pytest.raises(ValueError, match="temperature"):
        student.distil_from(small.classifier(), temperature=0.0)
    checkpoints.save_pretrained(
        tmp_path, student.encoder.config, "BertModel", student.encoder, tokenizer=small.tokenizer()
    )
    with pytest.raises(UserError, match="no model of --task=classification"):
        load_teacher(tmp_path, student)


@pytest.mark.slow
def test_the_command_learns_from_a_directory(tmp_path, capsys):
    small.classifier().save_pretrained(tmp_path / "teacher")
    small.write_tsv(tmp_path / "train.tsv", 32, seed=1)
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    arguments = [
        "finetune",
        "--init=size:L-1_H-64",
        f"--vocab={tmp_path}/vocab.txt",
        f"--train={tmp_path}/train.tsv",
        f"--output_dir={tmp_path}/out",
        "--epochs=1",
        "--seq_length=16",
    ]
    assert cli.main([*arguments, "--distill_weight=1"]) == 2
    assert "--distill_weight: needs --teacher" in capsys.readouterr().err
    assert cli.main([*arguments, "--teacher=nowhere"]) == 2
    assert "--teacher=nowhere: " in capsys.readouterr().err
    assert cli.main([*arguments, f"--teacher={tmp_path}/teacher", "--strategy=mirrored"]) == 0
    assert json.loads((tmp_path / "out" / "model" / "config.json").read_text())["hidden_size"] == 64
