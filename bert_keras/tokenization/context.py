"""The two rules of lower-casing and NFD that look at a character's neighbours.

Capital sigma becomes final sigma at the end of a word (Python's `str.lower`, Unicode
section 3.13), and combining marks that survive accent stripping (spacing marks, category
Mc) are put into canonical order (Unicode section 3.11). Both are rare, so the normaliser
comes here only when a batch contains one of these characters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bert_keras.tokenization import code_points as cp
from bert_keras.tokenization.freeze_unicode import CASED, IGNORABLE


class Heads(NamedTuple):
    """Characters other than plain ASCII, in source order: int32 [n] each."""

    positions: tf.Tensor  # of the first byte
    lengths: tf.Tensor  # source bytes
    dropped: tf.Tensor  # bytes before this head that begin no character
    codes: tf.Tensor  # code point, 0 for an invalid byte
    is_valid: tf.Tensor  # bool: UTF-8 that counts as a character


class Context:
    """Resolves neighbours' effects; holds its small tables as constants."""

    def __init__(self, tables: cp.Tables, lowercase: bool):
        self._lowercase = lowercase
        # Bytes beyond ASCII count by their head alone.
        byte_case = np.full(256, IGNORABLE, np.int32)
        byte_case[:128] = cp.unicode().case[:128]
        self._byte_case = tf.constant(byte_case)
        self._has_marks = len(tables.combining) > 0
        self._marks = tf.constant(tables.combining)
        self._expansions = tf.constant(tables.expansions)

    def __call__(
        self,
        data: tf.Tensor,
        heads: Heads,
        entries: tf.Tensor,
        lookup: Callable[[tf.Tensor], tf.Tensor],
    ) -> Heads:
        """Replaces code points by those that they mean where they stand.

        Args:
            data: uint8 [bytes], the joined rows.
            heads: the characters other than plain ASCII.
            entries: int32 [n], their table entries.
            lookup: code points to entries.

        Returns:
            The characters, some with other code points, some in several parts, which are
            all where the whole was.
        """
        if self._lowercase:
            codes = self._final_sigma(data, heads, entries)
            heads = heads._replace(codes=codes)
        return self._ordered(self._expanded(heads), lookup) if self._has_marks else heads

    def _final_sigma(self, data: tf.Tensor, heads: Heads, entries: tf.Tensor) -> tf.Tensor:
        """Sigma is final after a cased and before no cased character, ignorables skipped."""
        case = tf.gather(self._byte_case, tf.cast(data, tf.int32))
        head_case = tf.bitwise.right_shift(entries, cp.CASE_SHIFT) & cp.CASE_MASK
        case = tf.tensor_scatter_nd_update(case, heads.positions[:, tf.newaxis], head_case)
        seen = tf.cast(tf.where(case != IGNORABLE)[:, 0], tf.int32)
        cased = tf.gather(case, seen) == CASED
        before = tf.concat([[False], cased], 0)
        after = tf.concat([cased, [False, False]], 0)
        at = tf.searchsorted(seen, heads.positions)
        final = tf.gather(before, at) & ~tf.gather(after, at + 1)
        is_sigma = heads.codes == cp.CAPITAL_SIGMA
        return tf.where(is_sigma & final, cp.FINAL_SIGMA, heads.codes)

    def _expanded(self, heads: Heads) -> Heads:
        """Splits the few code points whose decomposition holds several moving parts."""
        row = tf.searchsorted(self._expansions[:, 0], heads.codes)
        found = tf.gather(self._expansions, tf.minimum(row, len(self._expansions) - 1))
        nothing = tf.fill(tf.shape(heads.codes), -1)
        whole = tf.stack([heads.codes, nothing, nothing], 1)
        parts = tf.where((found[:, 0] == heads.codes)[:, tf.newaxis], found[:, 1:], whole)
        kept = tf.where(parts >= 0)
        heads = Heads(*(tf.gather(column, kept[:, 0]) for column in heads))
        return heads._replace(codes=tf.gather_nd(parts, kept))

    def _ordered(self, heads: Heads, lookup: Callable[[tf.Tensor], tf.Tensor]) -> Heads:
        """Sorts marks by combining class between characters of class 0, stably."""
        row = tf.searchsorted(self._marks[:, 0], heads.codes)
        found = tf.gather(self._marks, tf.minimum(row, len(self._marks) - 1))
        rank = tf.where(found[:, 0] == heads.codes, found[:, 1], 0)
        ends = tf.concat([[0], (heads.positions + heads.lengths)[:-1]], 0)
        # ASCII between two heads is a starter, and so is a dropped mark of class 0.
        is_starter = lookup(heads.codes) & cp.STARTER > 0
        block = tf.cumsum(tf.cast((heads.positions > ends) | is_starter, tf.int32))
        moving = tf.where(rank > 0)[:, 0]
        key = tf.gather(block * 256 + rank, moving)
        order = tf.gather(moving, tf.argsort(key, stable=True))
        moved = tf.gather(heads.codes, order)
        codes = tf.tensor_scatter_nd_update(heads.codes, moving[:, tf.newaxis], moved)
        return heads._replace(codes=codes)
