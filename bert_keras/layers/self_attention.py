"""Multi-head self-attention (Vaswani et al. 2017), with its residual and normalisation."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from bert_keras.config import BertConfig
from bert_keras.layers import kernels
from bert_keras.layers.basic import BertLayer, LayerNorm, Linear, truncated_normal
from bert_keras.layers.chosen_rows import ChosenRows
from bert_keras.layers.kernels import Tensor
from bert_keras.layers.token_grid import TokenGrid
from bert_keras.layers.token_layout import TokenLayout


class SelfAttention(BertLayer):
    """Attention, output projection, dropout, residual, layer normalisation.

    Query, key and value come from one product with a `[hidden, 3 * hidden]` kernel whose
    columns are the three in this order.

    Call arguments:
        rows: `[tokens, hidden]`.
        layout: the grids that the rows attend on.
        seed: int32 `[2]` for dropout, or None.
        chosen: the only rows that are wanted, or None for all.

    Returns the new rows and the attention probabilities of the first grid,
    `[batch, heads, length, length]`; of `n` chosen rows an example, `[batch, heads, n, length]`.
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        shared = {"initializer_range": config.initializer_range, "dtype": self.dtype_policy}
        self.qkv = Linear(3 * config.hidden_size, name="qkv", **shared)
        self.output_dense = Linear(config.hidden_size, name="output", **shared)
        self.layer_norm = LayerNorm(
            config.layer_norm_eps, name="layer_norm", dtype=self.dtype_policy
        )
        self.lora_rank = 0
        self.lora_scale = 1.0

    def build(self, input_shape: Any = None) -> None:
        self.qkv.build(self.config.hidden_size)
        self.output_dense.build(self.config.hidden_size)
        self.layer_norm.build(self.config.hidden_size)

    def add_lora(self, rank: int, alpha: float) -> None:
        """Adds low-rank updates of the query and value projections (Hu et al. 2021).

        The second factor starts at zero, so nothing changes until it is trained. The update
        is scaled by `alpha / rank`.
        """
        hidden = self.config.hidden_size
        self.lora_rank, self.lora_scale = rank, alpha / rank
        self._tracker.unlock()
        with self._open_name_scope():
            for part in ("query", "value"):
                name = f"lora_{part}_a"
                down = self.add_weight(
                    name=name,
                    shape=(hidden, rank),
                    initializer=truncated_normal(
                        self.config.initializer_range, f"{self.path}/{name}"
                    ),
                )
                up = self.add_weight(
                    name=f"lora_{part}_b", shape=(rank, hidden), initializer="zeros"
                )
                setattr(self, f"lora_{part}", (down, up))
        self._tracker.lock()

    def lora_delta(self) -> Tensor:
        """What LoRA adds to the fused kernel, float32 `[hidden, 3 * hidden]`."""
        query, value = (
            ops.matmul(down, up) * self.lora_scale
            for down, up in (self.lora_query, self.lora_value)
        )
        return ops.concatenate([query, ops.zeros_like(query), value], axis=1)

    def _project(self, rows: Tensor, training: bool) -> Tensor:
        """Query, key and value of each row, `[tokens, 3 * hidden]`."""
        projected = self.qkv(rows, training=training)
        if not self.lora_rank:
            return projected

        def update(factors: tuple[Any, Any]) -> Tensor:
            down, up = (ops.cast(factor, rows.dtype) for factor in factors)
            return ops.matmul(ops.matmul(rows, down), up) * self.lora_scale

        query = update(self.lora_query)
        return projected + ops.concatenate(
            [query, ops.zeros_like(query), update(self.lora_value)], axis=1
        )

    def call(
        self,
        rows: Tensor,
        layout: TokenLayout,
        seed: Tensor | None,
        chosen: ChosenRows | None = None,
    ) -> tuple[Tensor, Tensor]:
        config = self.config
        training = seed is not None
        projected = self._project(rows, training)
        attention_seed = None if seed is None else kernels.fold_seed(seed, 0)
        positions = [None] * len(layout.grids) if chosen is None else chosen.positions
        attended = [
            self._attend(projected, grid, attention_seed, own)
            for grid, own in zip(layout.grids, positions, strict=True)
        ]
        contexts = [context for context, _ in attended]
        context = contexts[0] if len(contexts) == 1 else ops.concatenate(contexts, axis=0)
        output_seed = None if seed is None else kernels.fold_seed(seed, 1)
        output = self.output_dense(context, training=training)
        residual = rows if chosen is None else chosen.of(rows)
        rate = config.hidden_dropout_prob
        normed = self.layer_norm.add(output, residual, rate, output_seed, layout.predicts)
        return normed, attended[0][1]

    def _attend(
        self,
        projected: Tensor,
        grid: TokenGrid,
        seed: Tensor | None,
        positions: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The context of a grid's rows, `[own tokens, hidden]`, and the probabilities; of those
        at `positions` `[own batch, n]` alone, if they are given."""
        config = self.config
        query, key, value = grid.to_heads(projected, 3, config.num_attention_heads)
        bias = grid.bias
        if positions is not None:
            query = kernels.gather_queries(query, positions)
            if bias.shape[2] != 1:
                bias = kernels.gather_queries(bias, positions)
        context, probabilities = kernels.attend(
            query,
            key,
            value,
            1.0 / math.sqrt(config.head_size),
            bias,
            config.attention_probs_dropout_prob,
            seed,
        )
        if positions is None:
            return grid.to_rows(context), probabilities
        # So few that to transpose them costs nothing.
        by_token = ops.transpose(context, (0, 2, 1, 3))
        return ops.reshape(by_token, (-1, config.hidden_size)), probabilities
