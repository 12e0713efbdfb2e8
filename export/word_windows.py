"""Words, and windows of whole words, inside the graph; see `bert_keras.data.word_windows`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bert_keras.data.word_windows import OVERLAP
from bert_keras.export.cutting import cut
from bert_keras.export.sliding import Features, rows_of_spans, splits_of
from bert_keras.tokenization import BertTokenizer


class Words(NamedTuple):
    """The words of B texts on end: strings, where each stands in its text, int32, in characters;
    and where the words of each text begin and end, int32 `[B + 1]`."""

    texts: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    splits: tf.Tensor


class WordRows(NamedTuple):
    """Windows, and for each word the row and the column of the token that stands for it."""

    features: Features
    rows: tf.Tensor
    columns: tf.Tensor


def words_of(tokenizer: BertTokenizer, text: tf.Tensor) -> Words:
    """White space and punctuation divide words, and every ideograph is one."""
    ids, starts, ends = tokenizer.offsets(text)
    _, byte_starts, byte_ends = tokenizer.offsets(text, unit="byte")
    begins = np.array([not piece.startswith("##") for piece in tokenizer.vocabulary])
    first = tf.cast(tf.where(tf.gather(begins, ids.values))[:, 0], tf.int32)
    last = tf.concat([first, [tf.size(ids.values)]], axis=0)[1:] - 1
    token_splits = tf.cast(ids.row_splits, tf.int32)
    splits = tf.searchsorted(first, token_splits)
    owner = tf.searchsorted(token_splits, first, side="right") - 1
    begin, end = tf.gather(byte_starts.values, first), tf.gather(byte_ends.values, last)
    return Words(
        cut(text, owner, begin, end),
        tf.gather(starts.values, first),
        tf.gather(ends.values, last),
        splits,
    )


def rows_of_words(tokenizer: BertTokenizer, words: Words, max_length: int) -> WordRows:
    """Tokenizes words one by one and lays them out in windows of so many tokens."""
    room = max_length - 2
    pieces = tokenizer.tokenize(words.texts)
    piece_splits = tf.cast(pieces.row_splits, tf.int32)
    sizes = piece_splits[1:] - piece_splits[:-1]
    fits = (sizes > 0) & (sizes <= room)
    sizes = tf.where(fits, sizes, 1)
    specials = [tokenizer.cls_id, tokenizer.sep_id, tokenizer.unk_id]
    known = tf.size(pieces.values)
    begins = tf.where(fits, piece_splits[:-1], known + 2)
    spans = tf.raw_ops.RaggedRange(starts=begins, limits=begins + sizes, deltas=1, Tsplits=tf.int32)
    # Pieces on end, [CLS] and [SEP] behind them.
    table = tf.concat([pieces.values, specials], axis=0)
    values = tf.concat([tf.gather(table, spans.rt_dense_values), specials[:2]], axis=0)
    ends = splits_of(sizes)
    windows = _windows(ends, words.splits[:-1], words.splits[1:], room)
    begin, size = tf.gather(ends, windows.first), tf.gather(ends, windows.stop)
    size -= begin
    one = tf.ones_like(begin)
    cls = tf.size(values) - 2
    features = rows_of_spans(
        values, [one * cls, begin, one * (cls + 1)], [one, size, one], size + 2
    )
    number = tf.range(tf.size(sizes))
    rows = tf.searchsorted(windows.own_stop, number, side="right")
    return WordRows(features, rows, 1 + ends[:-1] - tf.gather(begin, rows))


class _Windows(NamedTuple):
    """Windows over words, those of each text together: where each begins and ends, and where
    the words end that it is the one to answer for; int32 `[windows]`."""

    first: tf.Tensor
    stop: tf.Tensor
    own_stop: tf.Tensor


def _windows(ends: tf.Tensor, first: tf.Tensor, stop: tf.Tensor, room: int) -> _Windows:
    """Windows over the words from `first` to before `stop` of every text, int32 `[B]`.

    `ends` `[words + 1]` says where the pieces of each word begin and end. Each turn makes the
    next window of all texts at once.
    """
    # Twice the middle of each word.
    centres = ends[:-1] + ends[1:]

    def body(
        turn: tf.Tensor, first: tf.Tensor, active: tf.Tensor, found: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
        begin = tf.gather(ends, first)
        end = tf.minimum(stop, tf.searchsorted(ends, begin + room, side="right") - 1)
        is_last = end == stop
        end_token = tf.gather(ends, end)
        next_end = tf.gather(ends, tf.minimum(end + 1, tf.size(ends) - 1))
        # The next window begins where the overlap is small enough and one more word fits in.
        shared = tf.maximum(end_token - room // OVERLAP, tf.maximum(next_end - room, begin + 1))
        following = tf.minimum(tf.searchsorted(ends, shared), end)
        middle = tf.searchsorted(centres, tf.gather(ends, following) + end_token)
        own_stop = tf.where(is_last, stop, tf.clip_by_value(middle, following, end))
        found = found.write(turn, tf.stack([first, end, own_stop, tf.cast(active, tf.int32)]))
        return turn + 1, tf.where(is_last, first, following), active & ~is_last, found

    # A window is gone on from by one word or more, so no text has more windows than words.
    found = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[4, None])
    state = (0, first, tf.ones_like(first, tf.bool), found)
    found = tf.while_loop(
        # One turn even without a text, for an empty list cannot be stacked.
        lambda turn, _, active, __: tf.equal(turn, 0) | tf.reduce_any(active),
        body,
        state,
    )[-1]
    every = tf.reshape(tf.transpose(found.stack(), [2, 0, 1]), [-1, 4])
    first, stop, own_stop, _ = tf.unstack(tf.boolean_mask(every, every[:, 3] > 0), num=4, axis=1)
    return _Windows(first, stop, own_stop)
