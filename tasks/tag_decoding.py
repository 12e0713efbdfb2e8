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


class SequenceDecoder:
    """A CRF's answers for whole sentences.

    Logits are float32 `[W, tags]`; the words of sentence i are those from `splits[i]` to before
    `splits[i + 1]`.
    """

    def __init__(self, crf: LinearChainCRF) -> None:
        emissions = tf.TensorSpec([None, None, crf.num_tags], tf.float32)
        tags, lengths = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)

        @tf.function(input_signature=[emissions, lengths])
        def decode(emissions: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            best = crf.decode(emissions, lengths)
            return best, tf.gather(crf.marginals(emissions, lengths), best, batch_dims=2)

        self._decode = decode
        self._cost = tf.function(
            crf.negative_log_likelihood, input_signature=[emissions, tags, lengths]
        )

    def best_tags(self, logits: Floats, splits: Ints) -> TaggedWords:
        """The likeliest tags of each sentence as a whole; scores are each tag's own probability."""
        tags, scores = np.zeros(len(logits), np.int64), np.zeros(len(logits), np.float32)
        for words, real in _batches(splits):
            best, own = self._decode(logits[words], real.sum(axis=1).astype(np.int32))
            tags[words[real]], scores[words[real]] = best.numpy()[real], own.numpy()[real]
        return TaggedWords(logits, tags, scores)

    def cost(self, logits: Floats, tags: Ints, splits: Ints) -> float:
        """Minus the log-probability of the tags `[W]` of all sentences, in sum."""
        total = 0.0
        for words, real in _batches(splits):
            lengths = real.sum(axis=1).astype(np.int32)
            costs = self._cost(logits[words], tags[words].astype(np.int32), lengths)
            total += float(np.sum(costs, dtype=np.float64))
        return total


def _batches(splits: Ints) -> Iterator[tuple[Ints, npt.NDArray[np.bool_]]]:
    """Sentences of similar length as matrices of word numbers, and which of these are real."""
    lengths = np.diff(splits)
    order = np.flatnonzero(lengths)
    order = order[np.argsort(-lengths[order], kind="stable")]
    for part in cut_by_tokens(order, lengths[order], _BATCH_WORDS, max(1, len(order))):
        columns = np.arange(lengths[part].max())
        real = columns < lengths[part][:, None]
        yield np.where(real, splits[part][:, None] + columns, 0), real
