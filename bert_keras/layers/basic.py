"""The two layers with weights that every part of BERT is built from."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
from collections.abc import Iterator
from typing import Any

import keras

from bert_keras.layers import kernels
from bert_keras.layers.kernels import Tensor

_weight_seed: contextvars.ContextVar[int | None] = contextvars.ContextVar("seed", default=None)


@contextlib.contextmanager
def weight_seed(seed: int) -> Iterator[None]:
    """Within it, new random weights follow from `seed` and their paths alone.

    No global generator is read or changed. Outside of it they follow Keras's global seed, as
    those of any Keras layer.
    """
    token = _weight_seed.set(seed)
    try:
        yield
    finally:
        _weight_seed.reset(token)


def truncated_normal(stddev: float, path: str) -> keras.initializers.Initializer:
    """Returns an initializer of one kernel or table of BERT.

    Args:
        stddev: before values beyond two of them are drawn again.
        path: of the variable. Each has its own seed: variables that share one would start
            from the same draws.
    """
    seed = _weight_seed.get()
    if seed is not None:
        # Keras takes seeds of 31 bits.
        digest = hashlib.sha256(f"{seed}/{path}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") >> 1
    return keras.initializers.TruncatedNormal(stddev=stddev, seed=seed)


def named_weights(layer: keras.layers.Layer) -> dict[str, keras.Variable]:
    """A layer's or a model's weights by their path inside it, such as `dense/kernel`."""
    prefix = layer.path + "/"
    return {weight.path.removeprefix(prefix): weight for weight in layer.weights}


class BertLayer(keras.layers.Layer):
    """Base of this package's layers: casting is written out in `kernels`, never automatic."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def named_weights(self) -> dict[str, keras.Variable]:
        """The layer's own weights by their path inside it, such as `dense/kernel`."""
        return named_weights(self)


class Linear(BertLayer):
    """`activation(rows @ kernel + bias)`, kernel `[in, out]`, on 2-D rows."""

    def __init__(
        self,
        width: int,
        activation: str | None = None,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.activation = activation
        self.initializer_range = initializer_range

    def build(self, input_width: int) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_width, self.width),
            initializer=truncated_normal(self.initializer_range, f"{self.path}/kernel"),
        )
        self.bias = self.add_weight(name="bias", shape=(self.width,), initializer="zeros")

    def call(self, rows: Tensor, training: bool = False) -> Tensor:
        return kernels.dense(rows, self.kernel, self.bias, self.activation, bool(training))


class LayerNorm(BertLayer):
    """Layer normalisation with BERT's epsilon of 1e-12, in float32 under every precision."""

    def __init__(self, epsilon: float, dtype: Any = None, **kwargs: Any) -> None:
        # With a mixed policy Keras would hand out gamma and beta in 16 bits, even to a layer that
        # does not autocast, where no other layer's call is around this one's.
        super().__init__(dtype=keras.dtype_policies.get(dtype).variable_dtype, **kwargs)
        self.epsilon = epsilon

    def build(self, width: int) -> None:
        self.gamma = self.add_weight(name="gamma", shape=(width,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(width,), initializer="zeros")

    def call(self, x: Tensor, predicts: bool = False, training: bool = False) -> Tensor:
        return kernels.layer_norm(x, self.gamma, self.beta, self.epsilon, predicts, bool(training))

    def add(
        self,
        x: Tensor,
        residual: Tensor,
        rate: float,
        seed: Tensor | None,
        predicts: bool = False,
    ) -> Tensor:
        """The normalised sum of `residual` and of `x` after dropout."""
        return kernels.add_norm(
            x, residual, self.gamma, self.beta, self.epsilon, rate, seed, predicts
        )
