"""Losses of sentence embedders, of the vectors of pairs and triplets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bert_keras.data.sentences_to_embed import SentencesToEmbed
from bert_keras.errors import UserError

# Of cosines in a softmax, as sentence-transformers scales them; its inverse is a temperature.
SCALE = 20.0
# How much more alike an anchor's positive must be than its negative.
MARGIN = 0.5

LOSSES = ("cosine", "multiple_negatives", "triplet")


def default_loss(examples: SentencesToEmbed) -> str:
    """The loss that examples are for."""
    return "multiple_negatives" if examples.scores is None else "cosine"


def check_loss(loss: str, examples: SentencesToEmbed) -> None:
    """A UserError unless a loss can learn from examples."""
    scored, group = examples.scores is not None, examples.group
    fits, needed = {
        "cosine": (scored and group == 2, "pairs with scores"),
        "multiple_negatives": (not scored and group > 1, "pairs without scores, or triplets"),
        "triplet": (group == 3, "triplets"),
    }[loss]
    if not fits:
        raise UserError(
            f"{examples.source}: has {examples.kind()}, the loss {loss} learns from {needed}"
        )


def max_score_of(scores: Sequence[float], name: str) -> float:
    """Returns the top of a scale of scores: 1, or 5 as STS-B has it.

    Raises:
        UserError: there are scores above 5, whose scale is not known.
    """
    highest = max(scores)
    if highest > 5:
        raise UserError(f"{name} has scores up to {highest:g}; give max_score, the most possible")
    return 5.0 if highest > 1 else 1.0


def losses_of(loss: str, vectors: tf.Tensor, scores: Any) -> tf.Tensor:
    """One of LOSSES of vectors `[batch, group, hidden]`, `[batch]`; `scores` are for "cosine"."""
    group = {"cosine": (2,), "multiple_negatives": (2, 3), "triplet": (3,)}[loss]
    if vectors.shape.rank != 3 or vectors.shape[1] not in (*group, None):
        raise ValueError(f"the loss {loss} takes {group} texts an example, received {vectors}")
    if loss == "cosine":
        if scores is None:
            raise ValueError("the loss cosine needs scores")
        return cosine_losses(vectors, tf.reshape(scores, [-1]))
    return triplet_losses(vectors) if loss == "triplet" else multiple_negatives_losses(vectors)


def cosine_losses(vectors: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Squared differences of the pairs' cosines and scores, `[batch]`.

    Reimers & Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3.

    Args:
        vectors: `[batch, 2, hidden]`.
        scores: how alike the two are, 0 to 1, `[batch]`.
    """
    first, second = tf.unstack(tf.math.l2_normalize(vectors, axis=-1), num=2, axis=1)
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
    unit = tf.math.l2_normalize(vectors, axis=-1)
    anchor, positive, negative = tf.unstack(unit, num=3, axis=1)
    nearer = tf.reduce_sum(anchor * (negative - positive), axis=-1)
    return tf.nn.relu(nearer + MARGIN)


def distances(targets: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """Squared distances from a teacher's vectors, the mean over each example's texts, `[batch]`.

    Reimers & Gurevych 2020, https://arxiv.org/abs/2004.09813.

    Args:
        targets, vectors: `[batch, group, hidden]`.
    """
    return tf.reduce_mean(tf.reduce_sum(tf.square(targets - vectors), axis=-1), axis=-1)
