"""The CRF against sums over every sequence of tags."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.layers.crf import LinearChainCRF

TAGS = 3
LENGTHS = np.array([5, 1, 3, 0], np.int32)


def _crf(allowed: np.ndarray | None = None) -> LinearChainCRF:
    random, crf = np.random.default_rng(0), LinearChainCRF(TAGS)
    crf.build()
    for weight in crf.weights:
        weight.assign(random.normal(size=weight.shape))
    if allowed is not None:
        crf.constrain(allowed)
    return crf


def _allowed() -> np.ndarray:
    allowed = np.random.default_rng(5).random((TAGS + 1, TAGS + 1)) < 0.5
    allowed[0], allowed[:, 0] = True, True
    assert not allowed.all()
    return allowed


def _every_sequence(crf, emissions, allowed=None):
    """All sequences of tags and the score of each."""
    between, first, last = (np.asarray(weight) for weight in crf.weights)
    if allowed is not None:
        barred = np.where(allowed, 0.0, -np.inf)
        between, first, last = (
            between + barred[:-1, :-1],
            first + barred[-1, :-1],
            last + barred[:-1, -1],
        )
    sequences = list(itertools.product(range(TAGS), repeat=len(emissions)))
    scores = [
        first[tags[0]]
        + last[tags[-1]]
        + sum(row[tag] for row, tag in zip(emissions, tags, strict=True))
        + sum(between[pair] for pair in itertools.pairwise(tags))
        for tags in sequences
    ]
    return sequences, np.array(scores)


@pytest.fixture(scope="module")
def emissions() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(4, 5, TAGS)).astype(np.float32)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_likelihood_is_that_of_all_sequences(emissions, compiled):
    crf = _crf()
    tags = np.random.default_rng(2).integers(0, TAGS, (4, 5)).astype(np.int32)
    tags[1, 1:] = -1  # padding may hold anything
    function = crf.negative_log_likelihood
    found = (tf.function(function) if compiled else function)(emissions, tags, LENGTHS).numpy()
    for row, length in enumerate(LENGTHS):
        expected = 0.0
        if length:
            sequences, scores = _every_sequence(crf, emissions[row, :length])
            own = scores[sequences.index(tuple(tags[row, :length]))]
            expected = np.log(np.exp(scores).sum()) - own
        assert found[row] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("allowed", [None, _allowed()])
def test_decoding_finds_the_best_sequence_and_each_tags_probability(emissions, allowed):
    crf = _crf(allowed)
    best = crf.decode(tf.constant(emissions), LENGTHS).numpy()
    probabilities = crf.marginals(tf.constant(emissions), LENGTHS).numpy()
    for row, length in enumerate(LENGTHS[:3]):
        sequences, scores = _every_sequence(crf, emissions[row, :length], allowed)
        assert tuple(best[row, :length]) == sequences[int(scores.argmax())]
        expected = np.zeros((length, TAGS))
        shares = np.exp(scores) / np.exp(scores).sum()
        for tags, share in zip(sequences, shares, strict=True):
            expected[np.arange(length), tags] += share
        np.testing.assert_allclose(probabilities[row, :length], expected, atol=1e-6)


def test_the_gradient_is_that_of_small_changes(emissions):
    crf, tags = _crf(), np.zeros((4, 5), np.int32)

    def cost() -> tf.Tensor:
        return tf.reduce_sum(crf.negative_log_likelihood(emissions, tags, LENGTHS))

    with tf.GradientTape() as tape:
        total = cost()
    gradients = tape.gradient(total, [weight.value for weight in crf.weights])
    for weight, gradient in zip(crf.weights, gradients, strict=True):
        before, step = weight.numpy(), 1e-2
        place = (1,) * before.ndim
        changed = before.copy()
        changed[place] += step
        weight.assign(changed)
        up = float(cost())
        changed[place] -= 2 * step
        weight.assign(changed)
        slope = (up - float(cost())) / (2 * step)
        weight.assign(before)
        assert gradient.numpy()[place] == pytest.approx(slope, abs=5e-3)


@pytest.mark.slow
def test_long_sequences_keep_their_digits():
    emissions = np.random.default_rng(3).normal(2.0, 3.0, size=(2, 1500, TAGS)).astype(np.float32)
    found = _crf(_allowed()).marginals(tf.constant(emissions), tf.constant([1500, 700])).numpy()
    assert found.dtype == np.float32
    for row, length in enumerate((1500, 700)):
        np.testing.assert_allclose(found[row, :length].sum(-1), 1.0, atol=1e-6)
