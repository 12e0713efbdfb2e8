"""From logits to the best answers inside the graph, as `bert_keras.tasks.answer_decoding`."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from bert_keras.export.cutting import fingerprints
from bert_keras.export.guards import Outputs
from bert_keras.export.question_windows import PlacedTokens, Windows
from bert_keras.export.sliding import as_matrix

_NEVER = tf.float64.min


class Spans(NamedTuple):
    """Possible answers: question, first and last token among those of all contexts, and logit.

    `owner`, `first`, `last` are int32, `logits` float64, all `[spans]`; `nulls` are the logits
    of no answer, float64 `[questions]`.
    """

    owner: tf.Tensor
    first: tf.Tensor
    last: tf.Tensor
    logits: tf.Tensor
    nulls: tf.Tensor

    @classmethod
    def of(cls, windows: Windows, logits: tf.Tensor, n_best: int, longest: int) -> Spans:
        """The pairs of each window's likeliest starts and ends, as far as they are valid."""
        most = tf.minimum(n_best, tf.shape(logits)[1])
        start_logits, starts = tf.math.top_k(logits[..., 0], most)
        end_logits, ends = tf.math.top_k(logits[..., 1], most)
        lengths = ends[:, None, :] - starts[:, :, None] + 1
        starts, can_start = _tokens(windows, starts)
        ends, can_end = _tokens(windows, ends)
        here = tf.range(tf.size(windows.owner))[:, None]
        can_start &= tf.gather(windows.best, starts) == here
        valid = can_start[:, :, None] & can_end[:, None, :] & (lengths > 0) & (lengths <= longest)
        pairs = tf.cast(tf.where(valid), tf.int32)
        by_start, by_end = pairs[:, :2], tf.gather(pairs, [0, 2], axis=1)
        of_null = tf.reduce_sum(tf.cast(logits[:, 0], tf.float64), axis=-1)
        return cls(
            tf.gather(windows.owner, pairs[:, 0]),
            tf.gather_nd(starts, by_start),
            tf.gather_nd(ends, by_end),
            tf.cast(tf.gather_nd(start_logits, by_start), tf.float64)
            + tf.cast(tf.gather_nd(end_logits, by_end), tf.float64),
            tf.math.segment_min(of_null, windows.owner),
        )


def _tokens(windows: Windows, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Places in windows `[W, n]` as tokens among those of all contexts, and whether they are."""
    inside = places - windows.offsets[:, None]
    there = (inside >= 0) & (inside < windows.sizes[:, None])
    return tf.where(there, windows.first[:, None] + inside, 0), there


class _Answers(NamedTuple):
    """Candidates of all questions, the likeliest of each first.

    `owner` is whose each is, `keys` are equal for equal texts of one question, `begins` and
    `sizes` say where the text is in bytes, `starts` and `ends` in characters. "No answer" is of
    size 0.
    """

    owner: tf.Tensor
    keys: tf.Tensor
    begins: tf.Tensor
    sizes: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    logits: tf.Tensor

    def gather(self, indices: tf.Tensor) -> _Answers:
        return _Answers(*(tf.gather(part, indices) for part in self))


def ranked_answers(
    spans: Spans,
    tokens: PlacedTokens,
    context: tf.Tensor,
    n_best: int,
    null_threshold: float | None,
) -> Outputs:
    """The outputs of the signature, for contexts `[B]`.

    Args:
        spans, tokens: possible answers, and the tokens that these count.
        context: the contexts.
        n_best: answers to keep, besides "no answer".
        null_threshold: how much likelier no answer must be to be given; None where every
            question has an answer.
    """
    with_null = null_threshold is not None
    kept = _different(_candidates(spans, tokens, context, with_null), n_best)
    width = n_best + with_null
    texts, starts, ends, logits = _matrices(kept, context, width)
    is_answer = tf.strings.length(texts) > 0
    # Where nothing can be an answer, there is none for certain.
    nothing = ~tf.reduce_any(is_answer, axis=1)
    logits = tf.where(nothing[:, None] & (tf.range(width) == 0), spans.nulls[:, None], logits)
    scores = tf.cast(tf.nn.softmax(logits), tf.float32)
    best = tf.argmax(is_answer, axis=1, output_type=tf.int32)
    best_logits = tf.gather(logits, best, batch_dims=1)
    null_scores = tf.where(nothing, tf.zeros_like(spans.nulls), spans.nulls - best_logits)
    if null_threshold is not None:
        # "No answer" is one of the candidates, the only one without a text but for the padding,
        # which is behind it.
        none = tf.argmax(~is_answer, axis=1, output_type=tf.int32)
        best = tf.where(null_scores > null_threshold, none, best)
    at = tf.stack([tf.range(tf.size(context)), best], axis=1)
    return {
        "answer": tf.gather_nd(texts, at),
        "start": tf.gather_nd(starts, at),
        "end": tf.gather_nd(ends, at),
        "score": tf.gather_nd(scores, at),
        "null_score": tf.cast(null_scores, tf.float32),
        "answers": texts,
        "answer_starts": starts,
        "answer_ends": ends,
        "answer_scores": scores,
    }


def _candidates(
    spans: Spans, tokens: PlacedTokens, context: tf.Tensor, with_null: bool
) -> _Answers:
    """The spans, and "no answer" if it is one, sorted."""
    begins = tf.gather(tokens.byte_starts, spans.first)
    ends = tf.gather(tokens.byte_ends, spans.last)
    found = _Answers(
        spans.owner,
        fingerprints(context, spans.owner, begins, ends),
        begins,
        ends - begins,
        tf.gather(tokens.starts, spans.first),
        tf.gather(tokens.ends, spans.last),
        spans.logits,
    )
    if with_null:
        every, zeros = tf.range(tf.size(context)), tf.zeros_like(context, tf.int32)
        keys = fingerprints(context, every, zeros, zeros)
        nulls = _Answers(every, keys, zeros, zeros, zeros, zeros, spans.nulls)
        found = _Answers(*(tf.concat(parts, axis=0) for parts in zip(found, nulls, strict=True)))
    # Stable twice: by question, then by logit, then as they came.
    found = found.gather(tf.argsort(-found.logits, stable=True))
    return found.gather(tf.argsort(found.owner, stable=True))


def _different(candidates: _Answers, n_best: int) -> _Answers:
    """The first `n_best` different texts of each question; "no answer" stays in any case."""
    distinct, number = tf.unique(candidates.keys)
    every = tf.range(tf.size(number))
    kept = candidates.gather(tf.math.unsorted_segment_min(every, number, tf.size(distinct)))
    rank = tf.range(tf.size(distinct)) - tf.searchsorted(kept.owner, kept.owner)
    chosen = (rank < n_best) | tf.equal(kept.sizes, 0)
    return kept.gather(tf.where(chosen)[:, 0])


def _matrices(kept: _Answers, context: tf.Tensor, width: int) -> list[tf.Tensor]:
    """Texts, starts, ends and logits `[questions, width]`; no question has more answers."""
    splits = tf.searchsorted(kept.owner, tf.range(tf.size(context) + 1))
    texts = tf.strings.substr(tf.gather(context, kept.owner), kept.begins, kept.sizes)
    columns = ((texts, ""), (kept.starts, 0), (kept.ends, 0), (kept.logits, _NEVER))
    return [
        tf.ensure_shape(as_matrix(values, splits, padding, least=width)[0], [None, width])
        for values, padding in columns
    ]
