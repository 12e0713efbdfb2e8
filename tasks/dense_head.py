"""The layer that every fine-tuned BERT ends with."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert_keras.config import BertConfig
from bert_keras.layers import kernels
from bert_keras.layers.basic import Linear


def classifier_dropout(config: BertConfig) -> float:
    """The rate before a classifier: its own, or else that of the encoder's hidden layers."""
    rate = config.classifier_dropout
    return config.hidden_dropout_prob if rate is None else rate


class DenseHead(Linear):
    """Dropout and a linear layer on states of any rank, in float32 under every precision.

    In 16 bits a logit of 5 is known to within 0.03: choices and places of answers would tie, and
    the order of candidates be one of rounding. Beside the layers below it costs nothing.

    Args:
        config: says how kernels are initialised.
        width: outputs for each state; it may be set later, before `build`.
        rate: of the dropout before it.
        name: of its weights.
    """

    def __init__(
        self, config: BertConfig, width: int, rate: float, name: str = "classifier"
    ) -> None:
        scale = config.initializer_range
        super().__init__(width, initializer_range=scale, name=name, dtype="float32")
        self.rate = rate

    def head_weights(self) -> dict[str, keras.Variable]:
        """Its weights by the paths of `checkpoints.names`, such as `classifier/kernel`."""
        return {f"{self.name}/{path}": weight for path, weight in self.named_weights().items()}

    def call(self, states: Any, training: bool = False, dropout_seed: Any = None) -> Any:
        """Logits `[…, width]` of states `[…, hidden]`.

        `dropout_seed` is the step's, int32 `[2]`.
        """
        shape = ops.shape(states)
        rows = ops.cast(ops.reshape(states, (-1, shape[-1])), "float32")
        if training:
            seed = kernels.fold_seed(ops.cast(dropout_seed, "int32"), -1)
            rows = kernels.dropout(rows, self.rate, seed)
        logits = super().call(rows, training=training)
        return ops.reshape(logits, (*shape[:-1], self.width))
