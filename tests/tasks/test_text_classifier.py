"""TextClassifier as a Keras user meets it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.source import DataSource
from bert_keras.errors import UserError
from bert_keras.tasks import Prepared, TextClassifier
from tests import small


def _dataset(count=64, seed=0, batch=16, labels_as="strings", pairs=False) -> tf.data.Dataset:
    texts, labels = small.sentences(count, seed)
    if labels_as == "numbers":
        labels = [small.LABELS.index(label) for label in labels]
    inputs = (texts, texts[::-1]) if pairs else texts
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(batch)


def test_fit_on_strings_learns_and_predict_says_so():
    classifier = small.classifier(dropout=0.0)
    classifier.compile(learning_rate=3e-3)
    history = classifier.fit(
        _dataset(256), validation_data=_dataset(64, seed=1), epochs=4, verbose=0
    )
    assert history.history["val_accuracy"][-1] > 0.95
    found = classifier.predict(["the film was great", "awful plot"])
    assert [answer.label for answer in found] == ["positive", "negative"]
    for answer in found:
        assert answer.score == max(answer.scores.values()) > 0.8
        assert sum(answer.scores.values()) == pytest.approx(1)
    texts, labels = small.sentences(64, seed=1)
    accuracy = classifier.evaluate(_dataset(64, seed=1), verbose=0, return_dict=True)["accuracy"]
    right = [a.label == b for a, b in zip(classifier.predict(texts), labels, strict=True)]
    assert accuracy == pytest.approx(np.mean(right))


@pytest.mark.slow
def test_fit_under_mirrored_strategy_equals_one_device(two_replicas):
    def weights(strategy):
        with strategy.scope():
            classifier = small.classifier(dropout=0.0)
            classifier.compile(learning_rate=1e-3)
        logs = classifier.fit(_dataset(48, batch=16), epochs=2, shuffle=False, verbose=0).history
        return logs, [np.asarray(tf.convert_to_tensor(w.value)) for w in classifier.weights]

    logs, alone = weights(tf.distribute.get_strategy())
    mirrored_logs, mirrored = weights(two_replicas)
    assert max(np.abs(a - b).max() for a, b in zip(alone, mirrored, strict=True)) < 1e-5
    np.testing.assert_allclose(mirrored_logs["loss"], logs["loss"], rtol=1e-5)
    np.testing.assert_allclose(mirrored_logs["accuracy"], logs["accuracy"])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run():
    def run(seed):
        classifier = small.classifier(seed=seed)
        classifier.compile()
        classifier.fit(*small.sentences(32), batch_size=8, epochs=2, verbose=0)
        return np.concatenate([np.ravel(w.value) for w in classifier.weights])

    first = run(5)
    np.testing.assert_array_equal(first, run(5))
    assert np.abs(first - run(6)).max() > 1e-6


@pytest.mark.slow
def test_the_recipe_is_laid_out_over_the_run():
    classifier = small.classifier()
    classifier.compile(learning_rate=1e-3, warmup_ratio=0.5)
    classifier.fit(_dataset(64, batch=16), epochs=2, verbose=0)
    schedule = classifier.optimizer._learning_rate
    assert schedule.total_steps == 8
    assert float(schedule(4)) == pytest.approx(1e-3) and float(schedule(8)) == 0
    unknown = _dataset(32).filter(lambda *_: True)
    with pytest.raises(ValueError, match="give steps_per_epoch"):
        classifier.fit(unknown, verbose=0)
    classifier.fit(unknown, steps_per_epoch=2, initial_epoch=1, epochs=3, verbose=0)
    assert (schedule.total_steps, schedule.first_step) == (4, 8)


@pytest.mark.slow
def test_labels_as_strings_as_numbers_and_from_the_data():
    expected = small.classifier(dropout=0.0)
    expected.compile()
    expected.fit(_dataset(), verbose=0)
    for labels_as, labels in (("numbers", small.LABELS), ("strings", None), ("numbers", None)):
        classifier = small.classifier(dropout=0.0, labels=labels)
        if labels is None:
            # The head is made in fit; the same initial weights make the runs comparable.
            classifier.set_labels([0, 1] if labels_as == "numbers" else small.LABELS)
            classifier.classifier.kernel.assign(small.classifier().classifier.kernel)
        classifier.compile()
        classifier.fit(_dataset(labels_as=labels_as), verbose=0)
        np.testing.assert_array_equal(
            classifier.classifier.kernel.value, expected.classifier.kernel.value
        )


@pytest.mark.slow
def test_fit_finds_the_sorted_labels():
    classifier = small.classifier(labels=None)
    classifier.compile()
    classifier.fit(_dataset(), verbose=0)
    assert classifier.labels == ["negative", "positive"]
    numbers = small.classifier(labels=None)
    numbers.compile()
    numbers.fit(["a", "film", "plot"], [7, 3, 5], verbose=0)
    assert numbers.labels == [3, 5, 7]
    assert numbers.predict(["a"])[0].label in (3, 5, 7)


def test_an_unknown_label_stops_fit():
    classifier = small.classifier()
    classifier.compile()
    expected = "expected one of negative, positive, or an index from 0 to 1$"
    for wrong, received in (("neutral", "'neutral', a str"), (2, "2, an int")):
        labels = ["positive", wrong] if wrong == "neutral" else [1, wrong]
        with pytest.raises(UserError, match=rf"^y\[1\] is {received}; {expected}"):
            classifier.fit(["a", "film"], labels, verbose=0)
        batches = tf.data.Dataset.from_tensor_slices((["a", "film"], labels)).batch(2)
        message = f"a label is not one of negative, .*: received {wrong} at position 1"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            classifier.fit(batches, verbose=0)


@pytest.mark.parametrize("labels", [["one"], ["a", "a"], [1, 1]])
def test_labels_must_be_at_least_two_and_different(labels):
    with pytest.raises(ValueError, match="at least two different labels"):
        small.classifier(labels=labels)


@pytest.mark.slow
def test_pairs_in_every_form_give_the_same_answers():
    classifier = small.classifier()
    texts, others = ["a good film", "the plot"], ["it was bad", "it is"]
    first = classifier.predict((texts, others))
    second = classifier.predict({"text": np.array(texts), "text_pair": tf.constant(others)})
    assert first == second
    assert first != classifier.predict(texts)
    classifier.compile()
    classifier.fit(_dataset(pairs=True), verbose=0)
    assert classifier.pairs


def test_unbatched_datasets_and_sample_weights():
    texts, labels = small.sentences(16)
    weights = np.linspace(0, 1, 16).astype(np.float32)
    classifier = small.classifier(dropout=0.0)
    classifier.compile()
    single = tf.data.Dataset.from_tensor_slices((texts, labels, weights))
    loss = classifier.evaluate(single, batch_size=5, verbose=0, return_dict=True)["loss"]
    logits = classifier.raw_outputs(classifier.encode(texts))
    ids = np.asarray([small.LABELS.index(label) for label in labels])
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(16), ids]
    assert loss == pytest.approx((losses * weights).sum() / weights.sum(), rel=1e-5)
    prepared = Prepared(None, classifier.encode(texts), ids)
    metrics = classifier.metrics_of(prepared, logits)
    assert metrics["loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_predict_keeps_the_order_and_takes_odd_inputs():
    classifier = small.classifier()
    texts = ["a", "", "the film was a plot and actors", "苹果 😀", "x" * 5000, "not good"]
    together = classifier.predict(texts, batch_size=2)
    for text, answer in zip(texts, together, strict=True):
        alone = classifier.predict([text])[0]
        assert alone.scores == pytest.approx(answer.scores, abs=1e-6)
    assert classifier.predict([]) == []
    batches = tf.data.Dataset.from_tensor_slices(texts).batch(4)
    assert classifier.predict(batches) == classifier.predict(texts)
    with pytest.raises(ValueError, match=r"^x\[1\] is 3, an int; expected a string$"):
        classifier.predict(["a", 3])
    with pytest.raises(ValueError, match=r"pairs are a tuple \(texts, second texts\)"):
        classifier.predict([("a", "b"), ("c", "d")])
    with pytest.raises(ValueError, match="expected a list of texts, or a tuple of two"):
        classifier.predict(("a", "b"))
    with pytest.raises(ValueError, match=r"^x\[1\] has 2 values; expected 1, one for each of x"):
        classifier.predict((["a"], ["b", "c"]))


def test_a_packed_batch_gives_the_logits_of_its_examples():
    classifier = small.classifier()
    plain = {
        "token_ids": np.array([[2, 5, 3, 0], [2, 6, 7, 3]], np.int32),
        "padding_mask": np.array([[1, 1, 1, 0], [1, 1, 1, 1]], np.int32),
    }
    packed = {
        "token_ids": np.array([[2, 5, 3, 2, 6, 7, 3, 0]], np.int32),
        "padding_mask": np.array([[1, 1, 1, 1, 1, 1, 1, 0]], np.int32),
        "position_ids": np.array([[0, 1, 2, 0, 1, 2, 3, 0]], np.int32),
        "sequence_ids": np.array([[1, 1, 1, 2, 2, 2, 2, 0]], np.int32),
        "cls_positions": np.array([[0, 3, -1]], np.int32),
    }
    logits = classifier(packed)
    assert logits.shape == (1, 3, 2)
    np.testing.assert_allclose(logits[0, :2], classifier(plain), atol=1e-6)
    labels, weights = np.array([[1, 0, 0]]), np.array([[1.0, 1.0, 0.0]])
    term = classifier.loss_terms(logits, labels, weights).terms["loss"]
    expected = classifier.loss_terms(classifier(plain), np.array([1, 0]), None).terms["loss"]
    assert float(term.mean()) == pytest.approx(float(expected.mean()), rel=1e-5)


def test_keras_file_keeps_everything(tmp_path):
    classifier = small.classifier()
    classifier.compile(learning_rate=1e-3, weight_decay=0.1, clip_norm=0.7)
    classifier.fit(_dataset(), verbose=0)
    path = tmp_path / "classifier.keras"
    classifier.save(path)
    reloaded = keras.models.load_model(path)
    texts = ["a good film", "bad"]
    assert reloaded.predict(texts) == classifier.predict(texts)
    assert reloaded.labels == classifier.labels
    optimizer = reloaded.optimizer
    assert optimizer.clip_norm == 0.7 and not optimizer.decays("layer_norm/gamma")
    for model in (classifier, reloaded):
        model.fit(_dataset(seed=2), verbose=0)
    for one, two in zip(classifier.weights, reloaded.weights, strict=True):
        np.testing.assert_allclose(one.value, two.value, atol=1e-7)


def test_model_directory_round_trip(tmp_path):
    classifier = small.classifier(labels=["no", "yes", "unsure"], max_length=9)
    classifier.save_pretrained(tmp_path / "model")
    reloaded = TextClassifier.from_pretrained(tmp_path / "model")
    assert reloaded.predict(["a good film"]) == classifier.predict(["a good film"])
    assert reloaded.labels == ["no", "yes", "unsure"] and reloaded.max_length == 9
    assert reloaded.pairs is None
    other = TextClassifier.from_pretrained(tmp_path / "model", labels=["x", "y"])
    assert other.classifier.kernel.shape == (32, 2)
    # The same labels in another order keep the trained head, column by column.
    order = ["unsure", "no", "yes"]
    turned = TextClassifier.from_pretrained(tmp_path / "model", labels=order)
    answers = [model.predict(["a good film"])[0].scores for model in (turned, classifier)]
    assert list(answers[0]) == order and answers[0] == pytest.approx(answers[1])


def test_labels_that_the_command_line_stored_as_text_are_numbers_in_python(tmp_path):
    small.classifier(labels=["0", "1"]).save_pretrained(tmp_path)
    stored = TextClassifier.from_pretrained(tmp_path)
    numbers = TextClassifier.from_pretrained(tmp_path, labels=[0, 1])
    np.testing.assert_array_equal(stored.classifier.kernel, numbers.classifier.kernel)
    assert numbers.predict(["a"])[0].label in (0, 1)


@pytest.mark.slow
def test_lora_is_merged_in_a_model_directory(tmp_path):
    classifier = small.classifier(dropout=0.0)
    classifier.encoder.enable_lora(2)
    classifier.compile(learning_rate=1e-2)
    before = classifier.encoder.embeddings.word_embeddings.numpy()
    classifier.fit(_dataset(), epochs=2, verbose=0)
    np.testing.assert_array_equal(before, classifier.encoder.embeddings.word_embeddings.numpy())
    classifier.save_pretrained(tmp_path / "model")
    reloaded = TextClassifier.from_pretrained(tmp_path / "model")
    for got, want in zip(
        reloaded.predict(["a good film"]), classifier.predict(["a good film"]), strict=True
    ):
        assert got.scores == pytest.approx(want.scores, abs=1e-5)


@pytest.mark.slow
def test_lora_after_a_prediction_changes_the_next_one():
    classifier = small.classifier(dropout=0.0)
    before = classifier.predict(["a good film"])[0].scores
    classifier.encoder.enable_lora(2)
    for weight in classifier.encoder.trainable_variables:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    after = classifier.predict(["a good film"])[0].scores
    assert after != pytest.approx(before, abs=1e-3)


@pytest.mark.slow
def test_features_in_place_of_texts_learn_the_same_labels():
    texts, labels = small.sentences(32)
    numbers = [small.LABELS.index(label) for label in labels]
    features = small.tokenizer()(texts, max_length=16)
    runs = []
    for x, y in ((texts, numbers), (features, numbers), (features, np.array(numbers)[:, None])):
        classifier = small.classifier(dropout=0.0, labels=[1, 0])
        classifier.compile()
        classifier.fit(x, y, shuffle=False, verbose=0)
        runs.append(np.asarray(classifier.classifier.bias))
    np.testing.assert_allclose(runs[1], runs[0], atol=1e-6)
    np.testing.assert_allclose(runs[2], runs[1], atol=1e-7)


@pytest.mark.slow
def test_labels_found_in_fit_under_mirrored_strategy(two_replicas):
    with two_replicas.scope():
        classifier = small.classifier(labels=None)
        classifier.compile()
    # 33 examples: the last batch is one example for two replicas.
    classifier.fit(_dataset(33, batch=16), verbose=0)
    assert classifier.labels == small.LABELS
    texts, labels = small.sentences(33)
    logs = classifier.evaluate(_dataset(33, batch=16), verbose=0, return_dict=True)
    answers = list(zip(classifier.predict(texts), labels, strict=True))
    assert logs["accuracy"] == pytest.approx(np.mean([a.label == label for a, label in answers]))
    losses = [-np.log(a.scores[label]) for a, label in answers]
    assert logs["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_what_cannot_be_trained_is_refused():
    endless = _dataset().repeat()
    classifier = small.classifier(labels=None)
    classifier.compile()
    with pytest.raises(ValueError, match="the dataset has no end"):
        classifier.fit(endless, steps_per_epoch=1, verbose=0)
    with pytest.raises(ValueError, match="the labels are not set"):
        classifier.predict(["a"])
    with pytest.raises(UserError, match=r"^y\[0\] is 0.5, a float; expected a string or"):
        classifier.fit(["a", "b"], [0.5, 1.0], verbose=0)
    half = TextClassifier(
        small.encoder(dtype="mixed_float16"), small.tokenizer(), small.LABELS, max_length=16
    )
    with pytest.raises(ValueError, match="use mixed_bfloat16"):
        half.compile()


@pytest.mark.slow
def test_frozen_weights_and_metrics_survive_a_keras_file(tmp_path):
    classifier = small.classifier()
    classifier.encoder.embeddings.trainable = False
    top = keras.metrics.SparseTopKCategoricalAccuracy(k=1, name="top")
    classifier.compile(weighted_metrics=[top])
    classifier.fit(_dataset(), verbose=0)
    classifier.save(tmp_path / "classifier.keras")
    reloaded = keras.models.load_model(tmp_path / "classifier.keras")
    paths = [[w.path for w in m.trainable_variables] for m in (classifier, reloaded)]
    assert [p.split("/", 1)[1] for p in paths[0]] == [p.split("/", 1)[1] for p in paths[1]]
    for one, two in zip(classifier.optimizer.variables, reloaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, two)
    assert "top" in reloaded.evaluate(_dataset(), verbose=0, return_dict=True)


def test_the_head_has_dropout_in_a_loop_of_one_s_own():
    classifier = small.classifier(dropout=0.5)
    features = small.tokenizer()(["a good film"] * 4)
    runs = [np.asarray(classifier(features, training=True)) for _ in range(2)]
    assert np.abs(runs[0] - runs[1]).max() > 1e-3


def test_a_head_of_another_kind_is_not_taken(tmp_path, caplog):
    classifier = small.classifier()
    classifier.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    text = config.read_text()
    config.write_text(text.replace("single_label", "multi_label"))
    other = TextClassifier.from_pretrained(tmp_path, labels=small.LABELS)
    assert np.abs(other.classifier.kernel - classifier.classifier.kernel).max() > 1e-3
    assert "its head is for multi_label_classification, the new one for single" in caplog.text
    config.write_text(text.replace("single_label_classification", "ranking"))
    with pytest.raises(UserError, match="problem_type is 'ranking', expected one of"):
        TextClassifier.from_pretrained(tmp_path, labels=small.LABELS)


def test_arguments_that_cannot_work():
    with pytest.raises(ValueError, match="max_length is 64, the encoder has 32 positions"):
        small.classifier(max_length=64)
    with pytest.raises(ValueError, match="needs an encoder with a pooler"):
        TextClassifier(small.encoder(add_pooler=False), small.tokenizer(), max_length=8)


@pytest.mark.slow
def test_fit_and_evaluate_on_examples_of_a_file(tmp_path):
    train, dev = (
        TextClassifier.read(DataSource(str(small.write_tsv(tmp_path / name, count, seed))))
        for name, count, seed in (("train.tsv", 256, 0), ("dev.tsv", 32, 1))
    )
    classifier = small.classifier(dropout=0.0, labels=None)
    classifier.compile(learning_rate=3e-3)
    history = classifier.fit(train, validation_data=dev, epochs=4, batch_size=16, verbose=0)
    assert classifier.labels == small.LABELS and classifier.pairs is False
    assert len(history.history["loss"]) == 4 and classifier.optimizer.iterations == 64
    scores = classifier.evaluate(dev)
    assert scores["accuracy"] == pytest.approx(history.history["val_accuracy"][-1], abs=1e-6)
    assert scores["accuracy"] > 0.9
