"""MultiLabelClassifier, class weights, and the scores of each label."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras import cli
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError
from bert_keras.tasks import MultiLabelClassifier, TextClassifier, task_of
from tests import small

LABELS = ["praise", "blame", "plot"]
TELLING = {"praise": "great", "blame": "awful", "plot": "plot"}


def _data(count: int = 64, seed: int = 0) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(seed)
    hot = random.integers(0, 2, (count, 3))
    texts = []
    for row in hot:
        words = [TELLING[label] for label, one in zip(LABELS, row, strict=True) if one]
        words += random.choice(["the", "film", "was", "it"], 3).tolist()
        texts.append(" ".join(random.permutation(words)))
    return texts, hot


def _classifier(labels=LABELS, **arguments) -> MultiLabelClassifier:
    keras.utils.set_random_seed(1)
    return MultiLabelClassifier(
        small.encoder(0.0), small.tokenizer(), labels, max_length=16, seed=3, **arguments
    )


def _file(path, count, seed):
    texts, hot = _data(count, seed)
    lines = ["text\tlabels"]
    for text, row in zip(texts, hot, strict=True):
        lines.append(text + "\t" + ",".join(np.array(LABELS)[row == 1]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_fit_on_multi_hot_arrays_learns():
    classifier = _classifier()
    classifier.compile(learning_rate=3e-3)
    classifier.fit(*_data(256), epochs=8, verbose=0)
    texts, hot = _data(64, seed=1)
    answers = classifier.predict(texts)
    right = [
        set(answer.labels) == set(np.array(LABELS)[row == 1])
        for answer, row in zip(answers, hot, strict=True)
    ]
    logs = classifier.evaluate(texts, hot, verbose=0, return_dict=True)
    assert logs["subset_accuracy"] == pytest.approx(np.mean(right)) and np.mean(right) > 0.9
    for answer in answers:
        assert set(answer.labels) == {name for name, p in answer.scores.items() if p >= 0.5}
        assert answer.labels == sorted(answer.labels, key=lambda label: -answer.scores[label])
    with pytest.raises(UserError, match=r"^y\[0\]\[1\] is 2, an int; expected 0 or 1"):
        classifier.fit(["a"], [[1, 2, 0]], verbose=0)


def test_loss_is_the_mean_sigmoid_cross_entropy(tmp_path):
    examples = MultiLabelClassifier.read(DataSource(str(_file(tmp_path / "a.tsv", 16, 2))))
    classifier = _classifier()
    classifier.compile()
    prepared = classifier.prepare(examples)
    logits = classifier.run(prepared)
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    gold = prepared.gold
    expected = -np.mean(gold * np.log(probability) + (1 - gold) * np.log(1 - probability))
    assert classifier.metrics_of(prepared, logits)["loss"] == pytest.approx(expected, rel=1e-6)
    term = classifier.loss_terms(tf.constant(logits), gold, None).terms["loss"]
    assert float(term.mean()) == pytest.approx(expected, rel=1e-5)
    weights = tf.constant([1.0, 3.0, 1.0])
    term = classifier.loss_terms(tf.constant(logits), gold, None, weights).terms["loss"]
    positive = gold * np.log(probability) * [1.0, 3.0, 1.0]
    expected = -np.mean(positive + (1 - gold) * np.log(1 - probability))
    assert float(term.mean()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_saved_and_loaded(tmp_path):
    classifier = _classifier(class_weights={"blame": 2.0})
    answer = classifier.predict(["great plot"])
    classifier.save_pretrained(tmp_path / "model")
    from bert_keras import checkpoints

    assert task_of(checkpoints.open_checkpoint(tmp_path / "model")) is MultiLabelClassifier
    loaded = MultiLabelClassifier.from_pretrained(tmp_path / "model")
    assert loaded.predict(["great plot"]) == answer
    # The weights are of a training, not of the model.
    assert loaded.label_weights() is None
    settings = json.loads((tmp_path / "model" / "config.json").read_text())
    assert settings["problem_type"] == "multi_label_classification"
    classifier.compile()
    classifier.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    assert reloaded.predict(["great plot"]) == answer
    np.testing.assert_array_equal(reloaded.label_weights(), [1, 2, 1])
    assert TextClassifier.from_pretrained(tmp_path / "model", labels=LABELS) is not None


@pytest.mark.slow
def test_class_weights_are_in_the_training_loss_only():
    classifier = small.classifier(dropout=0.0, class_weights={"positive": 3.0})
    features = small.tokenizer()(["a good film", "bad", "poor plot"], max_length=16)
    labels = np.array([1, 0, 0])
    logits = np.asarray(classifier(features), np.float64)
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(3), labels]
    for training, weights in ((True, np.array([3.0, 1.0, 1.0])), (False, np.ones(3))):
        term = classifier.compute_step(features, labels, None, training).terms["loss"]
        assert float(term.mean()) == pytest.approx((losses * weights).sum() / weights.sum())
    with pytest.raises(UserError, match="a class weight is of 'neutral'"):
        small.classifier(class_weights={"neutral": 3.0})
    with pytest.raises(UserError, match="class weight of 'positive' is 0"):
        small.classifier(class_weights={"positive": 0.0})


def test_balanced_weights_equal_scikit_learn(tmp_path):
    from sklearn.utils.class_weight import compute_class_weight

    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "x\ta\n" * 7 + "y\tb\n" * 2 + "z\tb : c\n")
    train = TextClassifier.read(DataSource(str(path)))
    options = TextClassifier.options_from(train, {"class_weights": "balanced"})
    labels = np.array(train.labels)
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    assert options["class_weights"] == pytest.approx(
        dict(zip(("a", "b", "b : c"), expected, strict=True))
    )
    options = TextClassifier.options_from(train, {"class_weights": "a:2,b : c:0.5"})
    assert options["class_weights"] == {"a": 2.0, "b : c": 0.5}
    for wrong in ("a", "a:x", ":2"):
        with pytest.raises(UserError, match="expected balanced or label:weight"):
            TextClassifier.options_from(train, {"class_weights": wrong})
    for wrong in ("d:2", "a:0", "a:nan"):
        with pytest.raises(UserError, match="^--class_weights: .* expected"):
            TextClassifier.options_from(train, {"class_weights": wrong})


def test_balanced_weights_of_several_labels_put_a_half_at_the_labels_share(tmp_path):
    from sklearn.utils.class_weight import compute_class_weight

    _, hot = _data(40, seed=4)
    hot[:, 1] = np.arange(40) % 8 == 0
    rows = [f"a film\t{','.join(np.array(LABELS)[row == 1])}" for row in hot]
    (tmp_path / "a.tsv").write_text("\n".join(["text\tlabels", *rows]) + "\n")
    train = MultiLabelClassifier.read(DataSource(str(tmp_path / "a.tsv")))
    given = {"labels": LABELS, "class_weights": "balanced"}
    weights = MultiLabelClassifier.options_from(train, given)["class_weights"]
    for label, column in zip(LABELS, hot.T, strict=True):
        without, with_it = compute_class_weight("balanced", classes=np.array([0, 1]), y=column)
        assert weights[label] == pytest.approx(with_it / without)
    assert weights["blame"] == pytest.approx(7)

    # Of all answers that do not look at the text, the best is a half for every label.
    classifier = _classifier(class_weights=weights)
    logits = tf.Variable(tf.zeros(3))
    with tf.GradientTape() as tape:
        outputs = tf.tile(logits[None], [40, 1])
        terms = classifier.loss_terms(outputs, hot, None, classifier.label_weights()).terms
        loss = terms["loss"].mean()
    np.testing.assert_allclose(tape.gradient(loss, logits), 0.0, atol=1e-6)


@pytest.mark.slow
def test_the_verbs(tmp_path, capsys):
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    arguments = [
        "finetune",
        "--init=size:L-1_H-64",
        f"--vocab={tmp_path}/vocab.txt",
        f"--train={_file(tmp_path / 'train.tsv', 192, 1)}",
        f"--dev={_file(tmp_path / 'dev.tsv', 64, 2)}",
        "--epochs=2",
        "--learning_rate=3e-3",
        "--seq_length=16",
        "--batching=packed",
        f"--output_dir={tmp_path}/out",
    ]
    assert cli.main([*arguments, "--multi_label", "--class_weights=balanced"]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics["per_class"]) == sorted(LABELS)
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    right = [set(row["labels"]) == set(row["prediction"]) for row in rows]
    assert np.mean(right) == pytest.approx(metrics["subset_accuracy"])
    capsys.readouterr()
    model, data = f"--model={tmp_path}/out/model", f"--data={tmp_path}/dev.tsv"
    assert cli.main(["evaluate", model, data]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["per_class"] == metrics["per_class"]
