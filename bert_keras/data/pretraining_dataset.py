"""Pretraining examples as a `tf.data.Dataset` with static shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import tensorflow as tf

from bert_keras.data import example_stream
from bert_keras.data.pretraining_examples import START, Batch, ExampleSource, Position
from bert_keras.data.python_calls import ends_at_exit
from bert_keras.errors import UserError

_WEIGHTS = ("mask_weights", "next_sentence_weights")


def dataset(
    source: ExampleSource,
    batch_size: int,
    position: Position = START,
    shards: Sequence[tuple[int, int]] | None = None,
    reader_threads: int = 2,
) -> tf.data.Dataset:
    """An endless stream of batches, from a position on.

    A global batch is the next `batch_size` examples, always full: it goes on from window to
    window and from epoch to epoch. The same source gives the same batches at any number of
    threads, and `position` those that come behind it in a stream from the start.

    Args:
        source: where examples come from.
        batch_size: examples of a global batch.
        position: where to begin; an element's `next_position` is where to go on after it.
        shards: (begin, end) row ranges of each global batch, all of one size. The dataset has an
            element for each, in order, and makes no other rows: those of another worker.
        reader_threads: threads that make batches ahead of their use.

    Returns:
        Dicts, int32 unless said otherwise: `token_ids`, `segment_ids`, `padding_mask` `[b, L]`;
        `mask_positions`, `mask_ids`, and float32 `mask_weights`, `[b, P]`; with next sentences
        `next_sentence_labels` and float32 `next_sentence_weights` `[b]`; of packed rows
        `position_ids` and `sequence_ids` `[b, L]`; `example_ids` `[b, 3]` (epoch, window, index)
        and `next_position` `[3]`.

    Raises:
        UserError: a position or a row range does not exist. What goes wrong while the dataset is
            read arrives as TensorFlow's error, from which `bad_input` gets ours.
    """
    shards = tuple(shards or ((0, batch_size),))
    _check(source, batch_size, position, shards, reader_threads)
    begin, end = shards[0]

    @ends_at_exit
    def generate() -> Iterator[Batch]:
        return example_stream.batches(source, batch_size, position, shards, reader_threads)

    stream = tf.data.Dataset.from_generator(
        generate, output_signature=signature(source, end - begin)
    )
    options = tf.data.Options()
    # The rows of each worker are chosen by `shards`; tf.data must not choose once more.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # There is nothing to tune, and an iterator is not freed before its sleeping tuner wakes.
    options.autotune.enabled = False
    return stream.with_options(options)


def evaluation_batches(source: ExampleSource, batch_size: int, examples: int) -> Iterator[Batch]:
    """The first `examples` of the first epoch, the same with the same masks at every call.

    Args:
        source: held-out data.
        batch_size: rows of every batch, the last one too: rows to fill it have weights of 0.
        examples: how many; fewer if an epoch has fewer.

    Returns:
        Dicts of NumPy arrays as in `dataset`; `next_position` means nothing.
    """
    return example_stream.first_batches(source, batch_size, examples)


def signature(source: ExampleSource, rows: int) -> dict[str, tf.TensorSpec]:
    """Names, shapes and dtypes of an element with so many rows."""
    lengths = ["token_ids", "segment_ids", "padding_mask"]
    if source.packed:
        lengths += ["position_ids", "sequence_ids"]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(lengths, (rows, source.seq_length))
    for name in ("mask_positions", "mask_ids", "mask_weights"):
        shapes[name] = (rows, source.predictions)
    if source.next_sentence:
        shapes |= {"next_sentence_labels": (rows,), "next_sentence_weights": (rows,)}
    shapes |= {"example_ids": (rows, 3), "next_position": (3,)}
    return {
        name: tf.TensorSpec(shape, tf.float32 if name in _WEIGHTS else tf.int32, name=name)
        for name, shape in shapes.items()
    }


def bad_input(error: tf.errors.OpError) -> UserError | None:
    """The `UserError` behind an error of a dataset's iterator, if there is one."""
    found = re.search(rf"\b{UserError.__name__}: ([^\n]+)", error.message or "")
    return UserError(found[1]) if found else None


def _check(
    source: ExampleSource,
    batch_size: int,
    position: Position,
    shards: Sequence[tuple[int, int]],
    reader_threads: int,
) -> None:
    if batch_size < 1:
        raise UserError(f"--batch_size={batch_size} is not valid, expected 1 or more")
    if reader_threads < 1:
        raise UserError(f"--reader_threads={reader_threads} is not valid, expected 1 or more")
    if min(position) < 0 or position.window >= source.windows():
        raise UserError(
            f"position {tuple(position)}: there is no such window, the data has "
            f"{source.windows()} in an epoch; expected the data that the run began with"
        )
    sizes = {end - begin for begin, end in shards}
    if len(sizes) != 1 or not all(0 <= begin < end <= batch_size for begin, end in shards):
        raise UserError(
            f"row ranges {list(shards)}, expected ranges of one size within 0 to {batch_size}"
        )
