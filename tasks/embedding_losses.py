"""Losses of sentence embedders, of the vectors of pairs and triplets."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# Of cosines in a softmax, as sentence-transformers scales them; its inverse is a temperature.
SCALE = 20.0
# How much more alike an anchor's positive must be than its negative.
MARGIN = 0.5


LOSSES = ("cosine", "multiple_negatives", "triplet")


def embedding_losses(loss: str, vectors: tf.Tensor, scores: Any) -> tf.Tensor:
    """One of LOSSES of vectors `[batch, group, hidden]`, `[batch]`; `scores` are for "cosine"."""
    if loss == "cosine":
        return cosine_losses(vectors, tf.reshape(scores, [-1]))
    return triplet_losses(vectors) if loss == "triplet" else multiple_negatives_losses(vectors)


def cosine_losses(vectors: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Squared differences of the pairs' cosines and scores, `[batch]`.

    Reimers & Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3.

    Args:
        vectors: `[batch, 2, hidden]`.
        scores: how alike the two are, 0 to 1, `[batch]`.
    """
    first, second = tf.unstack(tf.math.l2_normalize(vectors, axis=-1), axis=1)
    return tf.square(tf.reduce_sum(first * second, axis=-1) - scores)


def multiple_negatives_losses(vectors: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of finding each anchor's own positive among all of the batch, `[batch]`.

    The other examples' positives are its negatives, and so are all negatives of triplets
    (Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4).

    Args:
        vectors: `[batch, 2 or 3, hidden]`: anchors, positives and perhaps negatives.
    """
    unit = tf.math.l2_normalize(vectors, axis=-1)
    batch = tf.shape(unit)[0]
    # Positives first: the own one of anchor i is candidate i.
    candidates = tf.reshape(tf.transpose(unit[:, 1:], [1, 0, 2]), [-1, unit.shape[-1]])
    logits = SCALE * tf.matmul(unit[:, 0], candidates, transpose_b=True)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(batch), logits)


def triplet_losses(vectors: tf.Tensor) -> tf.Tensor:
    """By how much each negative is nearer than the positive and `MARGIN` allow, `[batch]`.

    Distances are 1 − cosine (Schroff et al. 2015, https://arxiv.org/abs/1503.03832, with
    cosines).

    Args:
        vectors: `[batch, 3, hidden]`: anchors, positives, negatives.
    """
    anchor, positive, negative = tf.unstack(tf.math.l2_normalize(vectors, axis=-1), axis=1)
    nearer = tf.reduce_sum(anchor * (negative - positive), axis=-1)
    return tf.nn.relu(nearer + MARGIN)
