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
        kept = truncated_lengths(sizes[0], sizes[1], max_length - 3)
        texts = [(starts[0], kept[0]), (starts[1], kept[1])]
    else:
        texts = [(starts, tf.minimum(sizes, max_length - 2))]
    # The ids of the frame stand behind those of the texts.
    ones = tf.ones_like(texts[0][0])
    cls = ones * tf.size(ids)
    spans = [(cls, ones)]
    for text in texts:
        spans += [text, (cls + 1, ones)]
    framed = tf.concat([ids, [specials.cls, specials.sep]], 0)
    values, row_splits = _gather_spans(framed, spans)
    total = row_splits[1:] - row_splits[:-1]
    # A batch of no rows has the length of a row of no tokens.
    length = pad_to if pad_to is not None else tf.reduce_max(tf.concat([total, [2 + paired]], 0))
    token_ids = tf.raw_ops.RaggedTensorToTensor(
        shape=tf.stack([-1, length]),
        values=values,
        default_value=specials.pad,
        row_partition_tensors=[row_splits],
        row_partition_types=["ROW_SPLITS"],
    )
    position = tf.range(length)[tf.newaxis, :]
    mask = tf.cast(position < total[:, tf.newaxis], tf.int32)
    segment_ids = tf.zeros_like(token_ids)
    if paired:
        # The first text's frame is counted in, so this is where the second begins.
        segment_ids = mask * tf.cast(position >= texts[0][1][:, tf.newaxis] + 2, tf.int32)
    return {"token_ids": token_ids, "segment_ids": segment_ids, "padding_mask": mask}


def _gather_spans(
    values: tf.Tensor, spans: list[tuple[tf.Tensor, tf.Tensor]]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows made of spans of `values`, each given as starts and sizes, int32 [rows].

    Returns:
        the rows on end, and int32 [rows + 1], where each begins and ends.
    """
    starts, sizes = (tf.reshape(tf.stack(part, axis=1), [-1]) for part in zip(*spans, strict=True))
    places = tf.raw_ops.RaggedRange(
        starts=starts, limits=starts + sizes, deltas=1, Tsplits=tf.int32
    )
    return tf.gather(values, places.rt_dense_values), places.rt_nested_splits[:: len(spans)]
