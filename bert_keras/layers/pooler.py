"""The pooler: a dense layer with tanh on the vector of [CLS]."""

from __future__ import annotations

from typing import Any

from bert_keras.config import BertConfig
from bert_keras.layers.basic import BertLayer, Linear
from bert_keras.layers.kernels import Tensor


class Pooler(BertLayer):
    """`tanh(rows @ kernel + bias)` of the [CLS] rows, `[examples, hidden]`."""

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_size = config.hidden_size
        self.dense = Linear(
            config.hidden_size,
            "tanh",
            config.initializer_range,
            name="dense",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape: Any = None) -> None:
        self.dense.build(self.hidden_size)

    def call(self, rows: Tensor) -> Tensor:
        return self.dense(rows)
