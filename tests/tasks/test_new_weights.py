"""New weights follow from a task's seed; no global random generator is read or set."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.tasks import (
    BertPretrainer,
    FillMask,
    MultipleChoice,
    QuestionAnswerer,
    TextClassifier,
    TextRegressor,
    TokenTagger,
)
from tests import small

SIZE = "size:L-2_H-32"


@pytest.fixture(autouse=True)
def _global_generator() -> None:
    """TensorFlow makes none by itself where operations are deterministic, as after a finetune."""
    tf.random.set_global_generator(tf.random.Generator.from_seed(7))


def _states() -> tuple[object, ...]:
    """The states of all global generators."""
    generator = keras.src.random.seed_generator.global_seed_generator()
    return (
        random.getstate(),
        str(np.random.get_state()),
        np.asarray(generator.state.value).tolist(),
        tf.random.get_global_generator().state.numpy().tolist(),
    )


def _weights(model) -> dict[str, np.ndarray]:
    return {weight.path: np.asarray(weight.value) for weight in model.weights}


def _kernels(model) -> dict[str, np.ndarray]:
    return {path: value for path, value in _weights(model).items() if value.std() > 0}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (TextClassifier, {"labels": ["a", "b"]}),
        (TextRegressor, {}),
        (TokenTagger, {"labels": ["A", "B"], "lora_rank": 2}),
        (QuestionAnswerer, {}),
        (MultipleChoice, {}),
        (FillMask, {}),
        (BertPretrainer, {}),
    ],
)
def test_weights_follow_from_the_seed_alone(kind, options):
    def make(seed: int, user_seed: int):
        keras.utils.set_random_seed(user_seed)
        return kind.from_pretrained(
            SIZE, tokenizer=small.tokenizer(), max_length=16, seed=seed, **options
        )

    one, before = make(7, 1), _states()
    again = make(7, 1)
    assert _states() == before
    np.testing.assert_equal(_weights(again), _weights(one))
    np.testing.assert_equal(_weights(make(7, 2)), _weights(one))
    other = _kernels(make(8, 1))
    for path, value in _kernels(one).items():
        assert np.abs(other[path] - value).max() > 1e-3, path


def test_each_weight_has_its_own_draws():
    model = TextClassifier.from_pretrained(
        SIZE, tokenizer=small.tokenizer(), labels=["a", "b"], max_length=16
    )
    starts = [tuple(value.ravel()[:8].tolist()) for value in _kernels(model).values()]
    assert len(set(starts)) == len(starts) == 13
    for value in _kernels(model).values():
        # Normal, of 0.02, without what is beyond two standard deviations.
        assert np.abs(value).max() <= 0.04 + 1e-6
        assert value.std() == pytest.approx(0.0176, rel=0.25)


def test_a_head_that_fit_makes_follows_from_the_seed(tmp_path):
    def fitted(user_seed: int):
        keras.utils.set_random_seed(user_seed)
        model = TextClassifier.from_pretrained(
            SIZE, tokenizer=small.tokenizer(), max_length=16, seed=5
        )
        model.set_labels(["a", "b"])
        return _weights(model)

    named = TextClassifier.from_pretrained(
        SIZE, tokenizer=small.tokenizer(), max_length=16, seed=5, labels=["a", "b"]
    )
    np.testing.assert_equal(fitted(1), _weights(named))
    np.testing.assert_equal(fitted(2), _weights(named))


def test_loading_an_encoder_leaves_the_generators_alone(tmp_path):
    model = small.classifier()
    model.save_pretrained(tmp_path)
    before = _states()
    checkpoints.load(tmp_path)
    checkpoints.load_encoder(SIZE)
    assert _states() == before
    one, two = (checkpoints.load_encoder(SIZE, seed=seed) for seed in (1, 2))
    assert np.abs(one.embeddings.word_embeddings - two.embeddings.word_embeddings).max() > 1e-3


def test_layers_of_one_s_own_follow_keras_as_any_layer_does():
    keras.utils.set_random_seed(3)
    one = _weights(small.encoder())
    assert np.abs(one["bert_encoder/pooler/dense/kernel"]).max() > 0
    two = _weights(small.encoder())
    keras.utils.set_random_seed(3)
    again = _weights(small.encoder())
    np.testing.assert_equal({k: v for k, v in again.items() if "seed" not in k}, one)
    assert (
        np.abs(
            two["bert_encoder/pooler/dense/kernel"] - one["bert_encoder/pooler/dense/kernel"]
        ).max()
        > 0
    )
