"""Finding whole tokens in text inside the graph, by walking a trie from every byte at once.

A regular expression of some thousand alternatives overruns RE2's memory and becomes slower by a
factor of thousands; the trie's time does not depend on the number of tokens. Only constants and
core ops are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# No byte of UTF-8, so no token goes on with it.
_BEYOND = 255


class Matches(NamedTuple):
    """Tokens found, in order and without overlap; int32 [matches] each."""

    tokens: tf.Tensor  # index of the token
    starts: tf.Tensor  # position of the first byte
    ends: tf.Tensor  # exclusive


class Trie:
    """Finds the leftmost, and of several there the longest, of some byte strings.

    Args:
        patterns: the strings; empty ones are never found, of equal ones the first is.
    """

    def __init__(self, patterns: Sequence[bytes]):
        children: list[dict[int, int]] = [{}]
        token_of = [-1]
        for index, pattern in enumerate(patterns):
            node = 0
            for byte in pattern:
                if byte not in children[node]:
                    children[node][byte] = len(children)
                    children.append({})
                    token_of.append(-1)
                node = children[node][byte]
            if node and token_of[node] < 0:
                token_of[node] = index
        self._longest = max(map(len, patterns), default=0)
        # Numbered by levels, the child at the end of edge i is node i + 1.
        order, edges = [0], []
        for number, node in enumerate(order):
            for byte, child in sorted(children[node].items()):
                edges.append(number << 8 | byte)
                order.append(child)
        with tf.init_scope():
            self._edges = tf.constant(edges, tf.int32)
            self._token_of = tf.constant([token_of[node] for node in order], tf.int32)
            self._begins = tf.constant(_beginnings(patterns))

    def __call__(self, data: tf.Tensor) -> Matches:
        """Searches bytes, uint8 [n]."""
        padded = tf.concat([data, tf.fill([self._longest], tf.constant(_BEYOND, tf.uint8))], 0)
        values = tf.cast(padded, tf.int32)
        pairs = values[:-1] * 256 + values[1:]
        begins = tf.gather(self._begins, pairs[: tf.size(data)])
        starts = tf.cast(tf.where(begins)[:, 0], tf.int32)
        tokens, lengths = self._walk(values, starts)
        found = tokens >= 0
        starts, lengths = tf.boolean_mask(starts, found), tf.boolean_mask(lengths, found)
        matches = Matches(tf.boolean_mask(tokens, found), starts, starts + lengths)
        return tf.cond(
            tf.reduce_any(matches.starts[1:] < matches.ends[:-1]),
            lambda: _without_overlap(matches),
            lambda: matches,
        )

    def _walk(self, values: tf.Tensor, starts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The longest token from each start, −1 where there is none, and its length in bytes."""
        nothing = tf.fill(tf.shape(starts), -1)
        last = tf.size(self._edges) - 1

        def step(
            depth: tf.Tensor, at: tf.Tensor, node: tf.Tensor, token: tf.Tensor, length: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            keys = node * 256 + tf.gather(values, tf.gather(starts, at) + depth)
            edge = tf.minimum(tf.searchsorted(self._edges, keys), last)
            goes_on = tf.gather(self._edges, edge) == keys
            at, node = tf.boolean_mask(at, goes_on), tf.boolean_mask(edge, goes_on) + 1
            reached = tf.gather(self._token_of, node)
            ends = tf.boolean_mask(at, reached >= 0)[:, tf.newaxis]
            reached = tf.boolean_mask(reached, reached >= 0)
            token = tf.tensor_scatter_nd_update(token, ends, reached)
            reach = tf.fill(tf.shape(reached), depth + 1)
            length = tf.tensor_scatter_nd_update(length, ends, reach)
            return depth + 1, at, node, token, length

        some = tf.TensorShape([None])
        state = (0, tf.range(tf.size(starts)), tf.zeros_like(starts), nothing, nothing)
        shapes = (tf.TensorShape([]), some, some, starts.shape, starts.shape)
        *_, token, length = tf.while_loop(
            lambda depth, at, *_: tf.size(at) > 0, step, state, shape_invariants=shapes
        )
        return token, length


def _beginnings(patterns: Sequence[bytes]) -> np.ndarray:
    """Marks the pairs of bytes with which a pattern can begin, bool [65536]."""
    begins = np.zeros([256, 256], bool)
    for pattern in patterns:
        if len(pattern) == 1:
            begins[pattern[0]] = True
        elif pattern:
            begins[pattern[0], pattern[1]] = True
    return begins.reshape(-1)


def _without_overlap(matches: Matches) -> Matches:
    """Keeps the first match, then always the next one that begins behind the last one kept."""
    count = tf.size(matches.starts)
    following = tf.searchsorted(matches.starts, matches.ends)

    # Pointer doubling: before step k all matches less than 2^k jumps from the first are marked.
    def step(jump: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kept = tf.tensor_scatter_nd_max(kept, jump[:, tf.newaxis], kept)
        return tf.gather(jump, jump), kept

    # Behind the last match stands one that follows itself.
    jump = tf.concat([following, [count]], 0)
    kept = tf.concat([[1], tf.zeros([count], tf.int32)], 0)
    _, kept = tf.while_loop(lambda jump, _: jump[0] < count, step, (jump, kept))
    return Matches(*(tf.boolean_mask(part, kept[:-1] > 0) for part in matches))
