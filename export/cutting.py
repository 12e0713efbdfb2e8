"""Parts of texts, found and cut in time and memory that grow with the texts alone.

Gathering a text for each of its parts and calling `tf.strings.substr` would copy the whole text
each time: a hundred kilobytes, sent once, would fill the memory of the server.
"""

from __future__ import annotations

import tensorflow as tf

# Both odd: powers of an even number are 0 modulo 2 ** 64 soon.
_BASE = 6364136223846793005
_MIX = 1442695040888963407


def _starts(texts: tf.Tensor) -> tf.Tensor:
    """Where each text begins in all of them joined, in bytes, int32."""
    return tf.cumsum(tf.strings.length(texts), exclusive=True)


def cut(texts: tf.Tensor, owner: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """The parts of texts from byte `begin` to before `end`, strings `[parts]`.

    For parts that hardly overlap, words for one: every byte of every part takes some memory.
    `owner` says of which text each is; all are int32 `[parts]`.
    """
    chars = tf.strings.bytes_split(tf.strings.reduce_join(texts))
    start = tf.gather(_starts(texts), owner)
    places = tf.raw_ops.RaggedRange(
        starts=start + begin, limits=start + end, deltas=1, Tsplits=tf.int32
    )
    every = tf.range(places.rt_nested_splits[-1])
    part = tf.searchsorted(places.rt_nested_splits, every, side="right") - 1
    return tf.strings.unsorted_segment_join(
        tf.gather(chars, places.rt_dense_values), part, tf.size(begin)
    )


def fingerprints(texts: tf.Tensor, owner: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Numbers of parts of texts, int64 `[parts]`: of one text, equal where the parts are.

    They are polynomials of the bytes, modulo 2 ** 64, by prefix sums (Karp and Rabin 1987).
    """
    data = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8), tf.int64) + 1
    size = tf.size(data)
    powers = tf.math.cumprod(tf.fill([size + 1], tf.constant(_BASE, tf.int64)), exclusive=True)
    sums = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(data * powers[:-1])], axis=0)
    start = tf.gather(_starts(texts), owner)
    begin, end = start + begin, start + end
    # All to the same power, wherever the part is.
    number = (tf.gather(sums, end) - tf.gather(sums, begin)) * tf.gather(powers, size - begin)
    number = number * _MIX + tf.cast(end - begin, tf.int64)
    return number * _MIX + tf.cast(owner, tf.int64)
