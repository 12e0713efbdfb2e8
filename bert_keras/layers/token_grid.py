"""A grid of tokens for attention, and the rows for dense layers that it is filled from."""

from __future__ import annotations

from keras import ops

from bert_keras.layers import kernels
from bert_keras.layers.kernels import Tensor


class TokenGrid:
    """Lays out rows `[tokens, width]` by attention heads on a grid `[batch, length]`, and back.

    The grid holds all tokens or some; what padding holds on it is not defined.

    Args:
        batch, length: the sizes of the grid, static where they are known.
        training: whether there will be a gradient.
        bias: float32 `[batch, 1, 1 or length, length]`, added to the grid's attention scores.
        places: int32 `[own tokens]`, where on the grid, `[batch * length]`, each of its tokens
            stands, in the order of the rows; None where the rows are all places.
        rows: int32 `[batch * length]`, the row of each place; of padding, any. It goes with
            `places`.
    """

    def __init__(
        self,
        batch: Tensor | int,
        length: Tensor | int,
        training: bool,
        bias: Tensor,
        places: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> None:
        self._batch, self._length, self._training = batch, length, training
        self.bias = bias
        self._places, self._rows = places, rows
        self._indices: dict[tuple[int, int, bool], Tensor] = {}

    def to_heads(self, rows: Tensor, parts: int, heads: int) -> list[Tensor]:
        """All rows, `[tokens, parts * heads * size]`, to `parts` of `[batch, heads, length, size]`
        with the tokens of this grid."""
        size = rows.shape[-1] // (parts * heads)
        if not kernels.ON_TENSORFLOW:
            split = ops.reshape(rows, (self._batch, self._length, parts, heads, size))
            return ops.unstack(ops.transpose(split, (2, 0, 3, 1, 4)), parts)
        pieces = self._move(ops.reshape(rows, (-1, size)), parts, heads, to_grid=True)
        shape = (parts, self._batch, heads, self._length, size)
        return ops.unstack(ops.reshape(pieces, shape), parts)

    def to_rows(self, context: Tensor) -> Tensor:
        """`[batch, heads, length, size]` as rows of its own, `[own tokens, heads * size]`."""
        heads, size = context.shape[1], context.shape[3]
        if not kernels.ON_TENSORFLOW:
            return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, heads * size))
        pieces = self._move(ops.reshape(context, (-1, size)), 1, heads, to_grid=False)
        return ops.reshape(pieces, (-1, heads * size))

    def _move(self, pieces: Tensor, parts: int, heads: int, to_grid: bool) -> Tensor:
        """The pieces of all heads, `[pieces, size]`, in the order of the grid or of the rows.

        Copying piece by piece is several times as fast as a transposition of five axes, and
        leaves out padding on the way.
        """
        there = self._index(parts, heads, to_grid)
        if not self._training:
            return kernels.gather_rows(pieces, there)
        return kernels.permute_rows(pieces, there, self._index(parts, heads, not to_grid))

    def _index(self, parts: int, heads: int, to_grid: bool) -> Tensor:
        """Where each piece of the grid, or of the rows, comes from; all layers share it."""
        key = (parts, heads, to_grid)
        if key not in self._indices:
            make = self._grid_from_rows if to_grid else self._rows_from_grid
            self._indices[key] = ops.reshape(make(parts, heads), (-1,))
        return self._indices[key]

    def _grid_from_rows(self, parts: int, heads: int) -> Tensor:
        """Indices `[parts, batch, heads, length]` into pieces `[tokens, parts, heads]`."""
        rows = self._places_in_order() if self._rows is None else self._rows
        rows = ops.reshape(rows, (1, self._batch, 1, self._length))
        part = ops.arange(parts, dtype="int32")[:, None, None, None]
        head = ops.arange(heads, dtype="int32")[:, None]
        return (rows * parts + part) * heads + head

    def _rows_from_grid(self, parts: int, heads: int) -> Tensor:
        """Indices `[tokens, parts, heads]` into pieces `[parts, batch, heads, length]`."""
        places = self._places_in_order() if self._places is None else self._places
        example, position = places // self._length, places % self._length
        part = ops.arange(parts, dtype="int32")[:, None]
        head = ops.arange(heads, dtype="int32")
        of_heads = (part * self._batch + example[:, None, None]) * heads + head
        return of_heads * self._length + position[:, None, None]

    def _places_in_order(self) -> Tensor:
        return ops.arange(self._batch * self._length, dtype="int32")
