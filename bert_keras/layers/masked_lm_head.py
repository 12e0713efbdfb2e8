"""The masked language model's head."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert_keras.config import BertConfig
from bert_keras.layers import kernels
from bert_keras.layers.basic import BertLayer, LayerNorm, Linear
from bert_keras.layers.kernels import Tensor


class MaskedLMHead(BertLayer):
    """Dense, activation, layer normalisation, then the product with the word embeddings.

    The output table is the encoder's word-embedding table itself (tied), passed in at each
    call; only its bias belongs to the head.

    Call arguments:
        rows: `[predictions, hidden]`, the encoder's output at the positions to predict.
        word_embeddings: `[vocabulary, hidden]`.

    Returns float32 logits `[predictions, vocabulary]`.
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.dense = Linear(
            config.hidden_size,
            config.activation,
            config.initializer_range,
            name="dense",
            dtype=self.dtype_policy,
        )
        self.layer_norm = LayerNorm(
            config.layer_norm_eps, name="layer_norm", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.dense.build(self.config.hidden_size)
        self.layer_norm.build(self.config.hidden_size)
        self.output_bias = self.add_weight(
            name="output_bias", shape=(self.config.vocab_size,), initializer="zeros"
        )

    def _transform(self, rows: Tensor, training: bool) -> Tensor:
        return self.layer_norm(self.dense(rows, training=training), training=training)

    def call(self, rows: Tensor, word_embeddings: Tensor, training: bool = False) -> Tensor:
        transformed = self._transform(rows, training)
        table = ops.cast(word_embeddings, transformed.dtype)
        logits = ops.matmul(transformed, ops.transpose(table))
        return ops.cast(logits, "float32") + self.output_bias

    def cross_entropy(
        self, rows: Tensor, word_embeddings: Tensor, labels: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`kernels.cross_entropy` of the logits and `labels` int32 `[predictions]`, faster."""
        transformed = self._transform(rows, training)
        return kernels.tied_cross_entropy(transformed, word_embeddings, self.output_bias, labels)
