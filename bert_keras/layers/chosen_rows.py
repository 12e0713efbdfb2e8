"""The rows of a few positions of each example: all that a last layer need compute for them."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from bert_keras.layers import kernels
from bert_keras.layers.kernels import Tensor


class ChosenRows:
    """Some of a layout's rows, `n` of every example, by the grids that they attend on.

    Args:
        rows: int32 `[batch * n]`, which of the layout's rows they are, those of the first grid
            coming first.
        positions: of each grid, int32 `[own batch, n]`, their positions on it.
        order: int32 `[batch]`, where each example stands among those of all grids; None where
            they are in the batch's order.
    """

    def __init__(
        self, rows: Tensor, positions: Sequence[Tensor], order: Tensor | None = None
    ) -> None:
        self._rows, self.positions, self._order = rows, positions, order

    def of(self, rows: Tensor) -> Tensor:
        """The chosen ones of all rows, `[batch * n, width]`."""
        return kernels.gather_rows(rows, self._rows)

    def unpack(self, chosen: Tensor) -> Tensor:
        """Chosen rows as `[batch, n, width]`, in the batch's order."""
        count = ops.shape(self.positions[0])[1]
        by_example = ops.reshape(chosen, (-1, count, chosen.shape[-1]))
        if self._order is None:
            return by_example
        return kernels.gather_rows(by_example, self._order)
