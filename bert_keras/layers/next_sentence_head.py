"""The next sentence prediction's head."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert_keras.config import BertConfig
from bert_keras.layers.basic import BertLayer, Linear
from bert_keras.layers.kernels import Tensor


class NextSentenceHead(BertLayer):
    """Two float32 logits from the pooled output, `[examples, 2]`: 0 is next, 1 is random."""

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_size = config.hidden_size
        self.dense = Linear(
            2, None, config.initializer_range, name="dense", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.dense.build(self.hidden_size)

    def call(self, pooled: Tensor, training: bool = False) -> Tensor:
        return ops.cast(self.dense(pooled, training=training), "float32")
