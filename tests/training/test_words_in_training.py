"""Training the words of the data alone is training all of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.training_examples import LabelledExamples
from bert_keras.training import words_in_training
from bert_keras.training.fine_tuning import FineTuner, FineTuningSettings
from tests import small


class _Killed(BaseException):
    """Stands for SIGKILL: nothing in the loop may catch it or tidy up."""


SETTINGS = FineTuningSettings(epochs=2, batch_size=8, learning_rate=1e-3, weight_decay=3.0)


def _tuner(folder, settings=SETTINGS, evaluated=None, strategy=None) -> FineTuner:
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        task = small.classifier(0.0)
    texts, labels = small.sentences(50, seed=5)
    ids = np.asarray([small.LABELS.index(label) for label in labels], np.int32)
    encoded = task.encode(texts)

    def evaluate():
        evaluated.append(task.raw_outputs(encoded))
        return {"accuracy": 0.0, "loss": 0.0}

    evaluate = None if evaluated is None else evaluate
    examples = LabelledExamples(encoded, ids)
    return FineTuner(task, examples, evaluate, folder, settings, strategy, lambda _: None)


def _weights(tuner: FineTuner) -> dict[str, np.ndarray]:
    weights = tuner.task.encoder.named_weights()
    return {name: np.asarray(tf.convert_to_tensor(one.value)) for name, one in weights.items()}


@pytest.fixture
def always(monkeypatch):
    """Whatever the share of the vocabulary."""
    monkeypatch.setattr(words_in_training, "_LARGEST_SHARE", 1.0)


@pytest.mark.parametrize(
    ("replicas", "batching"),
    [
        (1, "padded"),
        pytest.param(2, "packed", marks=pytest.mark.slow),
        pytest.param(1, "packed", marks=pytest.mark.slow),
        pytest.param(2, "padded", marks=pytest.mark.slow),
    ],
)
def test_weights_and_predictions_are_those_of_the_whole_table(
    tmp_path, monkeypatch, always, two_replicas, batching, replicas
):
    settings = dataclasses.replace(SETTINGS, batching=batching)
    strategy = two_replicas if replicas == 2 else None
    seen: dict[str, list[np.ndarray]] = {"words": [], "whole": []}
    words = _tuner(tmp_path / "words", settings, seen["words"], strategy)
    monkeypatch.setattr(words_in_training, "_LARGEST_SHARE", 0.0)
    whole = _tuner(tmp_path / "whole", settings, seen["whole"], strategy)
    assert whole._words is None
    trained = words.task.encoder.embeddings.words_in_training
    assert 5 < trained.shape[0] < len(small.VOCABULARY)
    initial = _weights(whole)["embeddings/word_embeddings"]
    histories = [tuner.run().history for tuner in (words, whole)]
    for got, want in zip(*histories, strict=True):
        assert got["train_loss"] == pytest.approx(want["train_loss"], rel=1e-5)
    for got, want in zip(seen["words"], seen["whole"], strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5)
    found, expected = _weights(words), _weights(whole)
    assert found.keys() == expected.keys()
    for name, want in expected.items():
        np.testing.assert_allclose(found[name], want, atol=2e-5, err_msg=name)
    # Words that do not occur have decayed, by far more than the tolerance.
    table = expected["embeddings/word_embeddings"]
    idle = small.VOCABULARY.index("[UNK]")
    np.testing.assert_allclose(
        found["embeddings/word_embeddings"][idle], table[idle], rtol=1e-5, atol=0
    )
    assert np.abs(table[idle] - initial[idle]).max() > 1e-3


@pytest.mark.slow
def test_a_killed_run_ends_with_bitwise_the_same_weights(tmp_path, always):
    settings = dataclasses.replace(SETTINGS, checkpoint_every=3)
    unbroken = _tuner(tmp_path / "unbroken", settings)
    unbroken.run()
    killed = _tuner(tmp_path / "killed", settings)
    function, count = killed._step_function, iter(range(100))

    def dying(iterator, sums):
        if next(count) == 5:
            raise _Killed
        return function(iterator, sums)

    killed._step_function = dying
    with pytest.raises(_Killed):
        killed.run()
    resumed = _tuner(tmp_path / "killed", settings)
    resumed.run()
    for name, want in _weights(unbroken).items():
        np.testing.assert_array_equal(_weights(resumed)[name], want, err_msg=name)


@pytest.mark.slow
def test_afterwards_the_model_is_as_before(tmp_path, always):
    tuner = _tuner(tmp_path)
    embeddings = tuner.task.encoder.embeddings
    assert not embeddings.word_embeddings.trainable
    tuner.run()
    assert embeddings.words_in_training is None and embeddings.word_embeddings.trainable
    other = small.classifier(0.0)
    assert [one.path for one in tuner.task.weights] == [one.path for one in other.weights]
    tuner.task.compile()
    tuner.task.fit(["good film", "awful film"], ["positive", "negative"], verbose=0)


def test_a_word_that_was_not_named_is_an_error(always):
    embeddings = small.encoder().embeddings
    embeddings.train_words(np.array([0, 2, 3]))
    features = tf.constant([[2, 9, 3]])
    with pytest.raises(tf.errors.InvalidArgumentError):
        embeddings(features, tf.zeros_like(features), None, tf.constant([1, 2]))
    embeddings(features, tf.zeros_like(features), None, None)


@pytest.mark.parametrize("trainable", [True, False])
def test_only_where_most_words_are_missing_and_the_table_is_trained(trainable):
    embeddings = small.encoder().embeddings
    embeddings.word_embeddings.trainable = trainable
    task = small.classifier()
    few = LabelledExamples(task.encode(["good film"]), np.zeros(1, np.int32))
    many = LabelledExamples(
        task.encode([" ".join(small.WORDS[half]) for half in (slice(8), slice(8, None))]),
        np.zeros(2, np.int32),
    )
    assert words_in_training.words_in_training(embeddings, many) is None
    found = words_in_training.words_in_training(embeddings, few)
    assert (found is not None) is trainable
