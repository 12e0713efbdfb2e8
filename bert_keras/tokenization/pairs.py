"""From token ids to the encoder's features: truncation, [CLS] and [SEP], padding."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import tensorflow as tf

Size: TypeAlias = int | tf.Tensor


class Specials(NamedTuple):
    """Ids of the special tokens that frame a row."""

    cls: int
    sep: int
    pad: int


def truncated_lengths(
    first: tf.Tensor, second: tf.Tensor, budget: Size
) -> tuple[tf.Tensor, tf.Tensor]:
    """Lengths after Google's `_truncate_seq_pair`.

    That function drops tokens off the end of the longer text, of the second where both
    are equally long, until both fit. The first keeps what the second leaves free, and at
    least half of the budget (rounded up); the second gets the rest.

    Args:
        first, second: int [batch], numbers of tokens.
        budget: tokens that both may have together.

    Returns:
        int [batch] twice.
    """
    kept = tf.minimum(first, tf.maximum(budget - second, (budget + 1) // 2))
    return kept, tf.minimum(second, budget - kept)


def pack(
    ids: tf.Tensor,
    row_splits: tf.Tensor,
    paired: bool,
    specials: Specials,
    max_length: Size,
    pad_to: Size | None,
) -> dict[str, tf.Tensor]:
    """Frames rows as [CLS] A [SEP] or [CLS] A [SEP] B [SEP] and pads them.

    Args:
        ids: int32 [tokens], all rows' ids; with `paired` the first texts' rows come
            first, then as many rows of second texts.
        row_splits: int [rows + 1], where each row begins and ends.
        paired: whether there are second texts.
        specials: ids of the frame.
        max_length: most positions a row may have.
        pad_to: positions of every row, or None for those of the longest.

    Returns:
        `token_ids`, `segment_ids` (0 for A and padding, 1 for B and its [SEP]) and
        `padding_mask` (1 for tokens), int32 [batch, length].
    """
    splits = tf.cast(row_splits, tf.int32)
    starts, sizes = splits[:-1], splits[1:] - splits[:-1]
    if paired:
        starts, sizes = tf.reshape(starts, [2, -1]), tf.reshape(sizes, [2, -1])
        first, second = truncated_lengths(sizes[0], sizes[1], max_length - 3)
        total = first + second + 3
        first_start, second_start = starts[0], starts[1]
    else:
        first = tf.minimum(sizes, max_length - 2)
        total = first + 2
        first_start = starts
    # A batch of no rows has the length of a row of no tokens.
    length = pad_to if pad_to is not None else tf.reduce_max(tf.concat([total, [2 + paired]], 0))
    position = tf.range(length)[tf.newaxis, :]
    first_end, total = first[:, tf.newaxis] + 1, total[:, tf.newaxis]
    token = first_start[:, tf.newaxis] + position - 1
    in_second = tf.zeros_like(token, tf.bool)
    if paired:
        in_second = (position > first_end) & (position < total)
        token = tf.where(in_second, second_start[:, tf.newaxis] + position - first_end - 1, token)
    # One more id, so that a batch without any token can be gathered from as well.
    padded = tf.concat([ids, [specials.pad]], 0)
    token = tf.clip_by_value(token, 0, tf.size(ids))
    token_ids = tf.gather(padded, token)
    token_ids = tf.where(position == 0, specials.cls, token_ids)
    is_sep = (position == first_end) | (position == total - 1)
    token_ids = tf.where(is_sep, specials.sep, token_ids)
    inside = position < total
    return {
        "token_ids": tf.where(inside, token_ids, specials.pad),
        "segment_ids": tf.cast(in_second, tf.int32),
        "padding_mask": tf.cast(inside, tf.int32),
    }
