"""One layer of the encoder: self-attention, then the feed-forward network."""

from __future__ import annotations

from typing import Any

from bert_keras.config import BertConfig
from bert_keras.layers import kernels
from bert_keras.layers.basic import BertLayer, LayerNorm, Linear
from bert_keras.layers.chosen_rows import ChosenRows
from bert_keras.layers.kernels import Tensor
from bert_keras.layers.self_attention import SelfAttention
from bert_keras.layers.token_layout import TokenLayout


class TransformerBlock(BertLayer):
    """Post-normalised transformer layer, as published: each half is added to its input, and
    the sum is normalised. Call arguments and results are those of `SelfAttention`."""

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        shared = {"initializer_range": config.initializer_range, "dtype": self.dtype_policy}
        self.self_attention = SelfAttention(config, name="self_attention", dtype=self.dtype_policy)
        self.intermediate = Linear(
            config.intermediate_size, config.activation, name="intermediate", **shared
        )
        self.output_dense = Linear(config.hidden_size, name="output", **shared)
        self.layer_norm = LayerNorm(
            config.layer_norm_eps, name="layer_norm", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.self_attention.build()
        self.intermediate.build(self.config.hidden_size)
        self.output_dense.build(self.config.intermediate_size)
        self.layer_norm.build(self.config.hidden_size)

    def call(
        self,
        rows: Tensor,
        layout: TokenLayout,
        seed: Tensor | None,
        chosen: ChosenRows | None = None,
    ) -> tuple[Tensor, Tensor]:
        attended, probabilities = self.self_attention(rows, layout=layout, seed=seed, chosen=chosen)
        training = seed is not None
        expanded = self.intermediate(attended, training=training)
        output = self.output_dense(expanded, training=training)
        output_seed = None if seed is None else kernels.fold_seed(seed, 2)
        rate = self.config.hidden_dropout_prob
        normed = self.layer_norm.add(output, attended, rate, output_seed, layout.predicts)
        return normed, probabilities
