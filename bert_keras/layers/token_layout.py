"""Which tokens of a batch are rows for dense layers, and on which grids they attend."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from bert_keras.layers import kernels
from bert_keras.layers.chosen_rows import ChosenRows
from bert_keras.layers.kernels import Tensor
from bert_keras.layers.token_grid import TokenGrid

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

# What google-research/bert adds to the scores of positions that must not be seen.
_HIDDEN_FROM_VIEW = -10000.0


def attention_bias(padding_mask: Tensor, sequence_ids: Tensor | None = None) -> Tensor:
    """What is added to attention scores: 0 where a position is seen, -10000 where it is not.

    Args:
        padding_mask: int `[batch, length]`, 1 for tokens and 0 for padding.
        sequence_ids: int `[batch, length]` of a packed batch, which example of the row each
            token belongs to (0 is padding), or None for one example per row.

    Returns float32 `[batch, 1, 1, length]`, or `[batch, 1, length, length]` when packed, where
    attention is block-diagonal: it stays inside each example.
    """
    if sequence_ids is None:
        seen = ops.expand_dims(padding_mask, (1, 2)) > 0
    else:
        seen = sequence_ids[:, None, :, None] == sequence_ids[:, None, None, :]
    return (1.0 - ops.cast(seen, "float32")) * _HIDDEN_FROM_VIEW


class TokenLayout:
    """The rows of a batch `[batch, length]`, and the grids that they attend on.

    Args:
        batch, length: the sizes of the batch, static where they are known.
        grids: every row belongs to one, the rows of the first grid coming first.
        order: int32 `[tokens]`, which of the `batch * length` places each row is; None where
            the rows are all places in their order.
        inverse: int32 `[batch * length]`, the row of each place; of padding, any.
        predicts: whether the graph is for predictions on many rows, for which layers have
            operations of their own.
        examples: of each grid, int32 `[own batch]`, which of the batch's examples it holds; None
            where there is one grid with all in their order.
    """

    def __init__(
        self,
        batch: Tensor | int,
        length: Tensor | int,
        grids: Sequence[TokenGrid],
        order: Tensor | None = None,
        inverse: Tensor | None = None,
        predicts: bool = False,
        examples: Sequence[Tensor] | None = None,
    ) -> None:
        self._batch, self._length = batch, length
        self.grids, self.predicts = grids, predicts
        self._order, self._inverse, self._examples = order, inverse, examples

    @property
    def skips_padding(self) -> bool:
        """Whether the rows are the real tokens alone."""
        return self._order is not None

    def pack(self, values: Tensor) -> Tensor:
        """`[batch, length]` as `[1, tokens]`; as it is where the rows are all places."""
        if self._order is None:
            return values
        return kernels.gather_rows(ops.reshape(values, (-1,)), self._order)[None]

    def unpack(self, rows: Tensor) -> Tensor:
        """Rows as `[batch, length, width]`; what padding holds is not defined."""
        if self._inverse is not None:
            rows = kernels.gather_rows(rows, self._inverse)
        return ops.reshape(rows, (self._batch, self._length, rows.shape[-1]))

    def choose(self, positions: Tensor) -> ChosenRows:
        """The rows of real tokens, given their positions in each example, int32 `[batch, n]`."""
        examples, order = self._examples, None
        own = [positions]
        if examples is None:
            examples = [ops.arange(self._batch, dtype="int32")]
        else:
            own = [kernels.gather_rows(positions, numbers) for numbers in examples]
            order = tf.math.invert_permutation(ops.concatenate(examples, axis=0))
        places = [
            ops.reshape(numbers[:, None] * self._length + columns, (-1,))
            for numbers, columns in zip(examples, own, strict=True)
        ]
        rows = ops.concatenate(places, axis=0)
        if self._inverse is not None:
            rows = kernels.gather_rows(self._inverse, rows)
        return ChosenRows(rows, own, order)


def all_places(
    padding_mask: Tensor, sequence_ids: Tensor | None, training: bool, predicts: bool = False
) -> TokenLayout:
    """Every place of the batch is a row, padding too: all shapes follow from the batch's."""
    batch, length = ops.shape(padding_mask)
    bias = attention_bias(padding_mask, sequence_ids)
    return TokenLayout(batch, length, [TokenGrid(batch, length, training, bias)], predicts=predicts)


def real_tokens(
    padding_mask: Tensor, sequence_ids: Tensor | None, split: bool, predicts: bool = False
) -> TokenLayout:
    """The rows are the real tokens alone, so that no dense layer works on padding.

    TensorFlow only, without a gradient. The first place of an example always counts as a token.

    Args:
        padding_mask: int `[batch, length]`.
        sequence_ids: see `attention_bias`.
        split: whether the shorter examples attend on a grid of their own, no longer than the
            longest of them; where to split is chosen anew for every batch.
    """
    batch, length = ops.shape(padding_mask)
    kept = tf.concat([tf.ones_like(padding_mask[:, :1]), padding_mask[:, 1:]], axis=1) > 0
    if not split:
        numbers = _numbers(kept)
        bias = attention_bias(padding_mask, sequence_ids)
        grids = [_grid(kept, bias, numbers)]
        inverse = tf.reshape(numbers, [-1])
        return TokenLayout(batch, length, grids, _true_places(kept), inverse, predicts)
    lengths = tf.reduce_max(tf.where(kept, tf.range(1, length + 1), 0), axis=1)
    by_length = tf.argsort(lengths, stable=True)
    kept, mask = tf.gather(kept, by_length), tf.gather(padding_mask, by_length)
    numbers = _numbers(kept)
    count, short, long = _best_split(tf.gather(lengths, by_length))
    grids = [
        _grid(kept[rows, :columns], attention_bias(mask[rows, :columns]), numbers[rows, :columns])
        for rows, columns in ((slice(None, count), short), (slice(count, None), long))
    ]
    places = _true_places(kept)
    order = tf.gather(by_length, places // length) * length + places % length
    inverse = tf.gather(numbers, tf.math.invert_permutation(by_length))
    examples = [by_length[:count], by_length[count:]]
    return TokenLayout(batch, length, grids, order, tf.reshape(inverse, [-1]), predicts, examples)


def _true_places(kept: Tensor) -> Tensor:
    return tf.cast(tf.where(tf.reshape(kept, [-1]))[:, 0], tf.int32)


def _numbers(kept: Tensor) -> Tensor:
    """The number of each place's token among those kept; of padding, that of one before it."""
    flat = tf.cumsum(tf.cast(tf.reshape(kept, [-1]), tf.int32)) - 1
    return tf.reshape(flat, tf.shape(kept))


def _grid(kept: Tensor, bias: Tensor, numbers: Tensor) -> TokenGrid:
    batch, length = ops.shape(kept)
    places, rows = _true_places(kept), tf.reshape(numbers, [-1])
    return TokenGrid(batch, length, False, bias, places, rows)


def _best_split(lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts examples, sorted by length, `[batch]`, into short and long ones.

    Attention costs the square of a grid's length for each of its examples; the sum of both
    grids is made as small as can be.

    Returns:
        How many are short, and the length of each grid, at least 1.
    """
    # Of no example the length is 1.
    longest = tf.concat([[1], lengths], axis=0)
    costs = tf.cast(longest, tf.float32) ** 2
    short = tf.range(tf.shape(longest)[0])
    both = tf.cast(short, tf.float32) * costs + tf.cast(short[-1] - short, tf.float32) * costs[-1]
    count = tf.argmin(both, output_type=tf.int32)
    return count, longest[count], longest[-1]
