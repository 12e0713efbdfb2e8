"""From the logits of words to tags: word by word, or by a CRF over whole sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bert_keras.data.batches import cut_by_tokens
from bert_keras.layers.crf import LinearChainCRF

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

# Words of sentences that a CRF decodes together, padding included.
_BATCH_WORDS = 4096


@dataclasses.dataclass(frozen=True)
class TaggedWords:
    """What a model says of W words: float32 logits `[W, tags]`, the best tags int `[W]` and
    their probabilities `[W]`."""

    logits: Floats
    tags: Ints
    scores: Floats


def best_tags(logits: Floats) -> TaggedWords:
    """Each word's likeliest tag."""
    tags = logits.argmax(axis=-1)
    return TaggedWords(logits, tags, np.exp(-cross_entropies(logits, tags)))


def cross_entropies(logits: Floats, tags: Ints) -> Floats:
    """Minus the log-probabilities of tags, float64 `[W]`."""
    wide = logits.astype(np.float64)
    top = wide.max(axis=-1)
    log_sums = top + np.log(np.exp(wide - top[:, None]).sum(axis=-1))
    return log_sums - wide[np.arange(len(tags)), tags]


def best_sequences(crf: LinearChainCRF, logits: Floats, splits: Ints) -> TaggedWords:
    """The likeliest tags of each sentence as a whole; scores are each tag's own probability.

    The words of sentence i are those from `splits[i]` to before `splits[i + 1]`.
    """
    tags, scores = np.zeros(len(logits), np.int64), np.zeros(len(logits), np.float32)

    @tf.function(input_signature=_signature(logits))
    def decode(emissions: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        best = crf.decode(emissions, lengths)
        return best, tf.gather(crf.marginals(emissions, lengths), best, batch_dims=2)

    for words, real in _batches(splits):
        best, own = decode(logits[words], real.sum(axis=1).astype(np.int32))
        tags[words[real]], scores[words[real]] = best.numpy()[real], own.numpy()[real]
    return TaggedWords(logits, tags, scores)


def sequence_cost(crf: LinearChainCRF, logits: Floats, tags: Ints, splits: Ints) -> float:
    """Minus the log-probability of the tags `[W]` of all sentences, in sum."""
    cost = tf.function(
        lambda emissions, lengths, own: crf.negative_log_likelihood(emissions, own, lengths),
        input_signature=[*_signature(logits), tf.TensorSpec([None, None], tf.int32)],
    )
    return sum(
        float(
            tf.reduce_sum(
                cost(logits[words], real.sum(axis=1).astype(np.int32), tags[words].astype(np.int32))
            )
        )
        for words, real in _batches(splits)
    )


def _signature(logits: Floats) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec([None, None, logits.shape[-1]], tf.float32),
        tf.TensorSpec([None], tf.int32),
    ]


def _batches(splits: Ints) -> Iterator[tuple[Ints, npt.NDArray[np.bool_]]]:
    """Sentences of similar length as matrices of word numbers, and which of these are real."""
    lengths = np.diff(splits)
    order = np.flatnonzero(lengths)
    order = order[np.argsort(-lengths[order], kind="stable")]
    for part in cut_by_tokens(order, lengths[order], _BATCH_WORDS, max(1, len(order))):
        columns = np.arange(lengths[part].max())
        real = columns < lengths[part][:, None]
        yield np.where(real, splits[part][:, None] + columns, 0), real
