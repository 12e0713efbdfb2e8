"""Windows over contexts, cut inside the graph as `bert_keras.data.question_windows` cuts them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from bert_keras.export.sliding import Features, rows_of_spans, splits_of
from bert_keras.tasks import QuestionAnswerer


class PlacedTokens(NamedTuple):
    """The tokens of B contexts on end, each with its place in its context, int32.

    `starts` and `ends` count characters, `byte_starts` and `byte_ends` bytes; `splits`
    `[B + 1]` says where the tokens of each context begin and end.
    """

    ids: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    byte_starts: tf.Tensor
    byte_ends: tf.Tensor
    splits: tf.Tensor


class Windows(NamedTuple):
    """W windows `[CLS] question [SEP] part of the context [SEP]`, int32.

    Attributes:
        features: of the windows.
        owner: `[W]`, whose question each is.
        first: `[W]`, the number of its first token among those of all contexts.
        sizes: `[W]`, how many tokens of the context it shows.
        offsets: `[W]`, the place of the first of these in the window.
        splits: `[B + 1]`, where the windows of each question begin and end.
        best: for each token of all contexts, the window in which it has its best context.
        contexts: the tokens.
    """

    features: Features
    owner: tf.Tensor
    first: tf.Tensor
    sizes: tf.Tensor
    offsets: tf.Tensor
    splits: tf.Tensor
    best: tf.Tensor
    contexts: PlacedTokens


def windows_of(task: QuestionAnswerer, question: tf.Tensor, context: tf.Tensor) -> Windows:
    """The windows of questions and contexts, strings `[B]`."""
    queries, contexts = task.tokenizer.tokenize(question), _place(task, context)
    query_splits = tf.cast(queries.row_splits, tf.int32)
    most = min(task.max_query_length, task.max_length - 4)
    query_sizes = tf.minimum(query_splits[1:] - query_splits[:-1], most)
    totals = contexts.splits[1:] - contexts.splits[:-1]
    rooms = task.max_length - 3 - query_sizes
    steps = tf.minimum(rooms, task.doc_stride)
    counts = 1 - tf.minimum(rooms - totals, 0) // steps
    splits = splits_of(counts)
    owner = tf.repeat(tf.range(tf.size(counts)), counts)
    own_rooms, own_steps, own_totals, own_queries, begins = (
        tf.gather(x, owner) for x in (rooms, steps, totals, query_sizes, splits)
    )
    first = (tf.range(tf.size(owner)) - begins) * own_steps
    sizes = tf.minimum(own_rooms, own_totals - first)
    first += tf.gather(contexts.splits, owner)
    values = tf.concat(
        [queries.values, contexts.ids, [task.tokenizer.cls_id, task.tokenizer.sep_id]], axis=0
    )
    one = tf.ones_like(owner)
    cls = tf.size(values) - 2
    shift = tf.size(queries.values)
    features = rows_of_spans(
        values,
        [
            one * cls,
            tf.gather(query_splits, owner),
            one * (cls + 1),
            first + shift,
            one * (cls + 1),
        ],
        [one, own_queries, one, sizes, one],
        own_queries + 2,
    )
    best = _best_windows(contexts.splits, splits, rooms, steps)
    return Windows(features, owner, first, sizes, own_queries + 2, splits, best, contexts)


def _place(task: QuestionAnswerer, context: tf.Tensor) -> PlacedTokens:
    ids, starts, ends = task.tokenizer.offsets(context)
    _, byte_starts, byte_ends = task.tokenizer.offsets(context, unit="byte")
    return PlacedTokens(
        ids.values,
        starts.values,
        ends.values,
        byte_starts.values,
        byte_ends.values,
        tf.cast(ids.row_splits, tf.int32),
    )


def _best_windows(
    token_splits: tf.Tensor, window_splits: tf.Tensor, rooms: tf.Tensor, steps: tf.Tensor
) -> tf.Tensor:
    """For each token of all contexts, the window in which it stands farthest from the nearer end.

    A hundredth of the window's size counts too, and of equals the first is taken, as in
    google-research/bert's `run_squad.py`.
    """
    tokens = tf.range(token_splits[-1])
    owner = tf.searchsorted(token_splits, tokens, side="right") - 1
    counts = window_splits[1:] - window_splits[:-1]
    room, step, count, total, start = (
        tf.gather(x, owner)
        for x in (rooms, steps, counts, token_splits[1:] - token_splits[:-1], token_splits)
    )
    place = tokens - start
    last = tf.minimum(place // step, count - 1)

    def body(back: tf.Tensor, best: tf.Tensor, score: tf.Tensor) -> tuple[tf.Tensor, ...]:
        window = last - back
        left = place - window * step
        size = tf.minimum(room, total - window * step)
        nearer = tf.cast(tf.minimum(left, size - 1 - left), tf.float64)
        own = nearer + 0.01 * tf.cast(size, tf.float64)
        better = (window >= 0) & (left < size) & (own >= score)
        return back + 1, tf.where(better, window, best), tf.where(better, own, score)

    # No token is shown by more windows than begin within the room of one.
    most = tf.reduce_max(tf.concat([[0], -(-rooms // steps)], axis=0))
    start_state = (
        0,
        tf.zeros_like(tokens),
        tf.fill(tf.shape(tokens), tf.constant(-1.0, tf.float64)),
    )
    _, best, _ = tf.while_loop(lambda back, *_: back < most, body, start_state)
    return best + tf.gather(window_splits, owner)
