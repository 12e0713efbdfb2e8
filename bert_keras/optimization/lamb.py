"""LAMB: Adam whose step is scaled, weight by weight, to the size of the weight."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bert_keras.optimization.adamw import AdamW, Scalars
from bert_keras.optimization.reduced_optimizer import NOT_DECAYED, ON_TENSORFLOW

if ON_TENSORFLOW:
    import tensorflow as tf

# A weight that holds query, key and value side by side is three weights to LAMB.
_FUSED = re.compile(r"(^|/)qkv/")
_FUSED_PARTS = 3


def _read(variable: Any) -> Any:
    """A variable's value now; `ops.convert_to_tensor` returns a tf.Variable as it is."""
    return tf.convert_to_tensor(variable) if ON_TENSORFLOW else ops.convert_to_tensor(variable)


@keras.saving.register_keras_serializable(package="bert_keras")
class LAMB(AdamW):
    """Layer-wise adaptive moments for large batches (You et al. 2019, algorithm 2).

    https://arxiv.org/abs/1904.00962. With Adam's direction `r` and the decayed direction
    `u = r + weight_decay * w`, a weight moves by `learning_rate * |w| / |u| * u`, the ratio
    being 1 where a norm is 0. Query, key and value, which one weight holds here, each have
    their own ratio.

    Published code differs in two choices, both arguments; `google` and `nvidia` set them.

    Args:
        learning_rate, weight_decay, beta_1, beta_2, epsilon, clip_norm: see `AdamW`. The paper
            clips the global norm of the gradient to 1 as well.
        exclude_from_weight_decay: see `ReducedOptimizer`.
        exclude_from_layer_adaptation: regular expressions for the paths of weights whose ratio
            is always 1; None for those that do not decay, as google-research/albert and Model
            Garden do.
        bias_correction: see `AdamW`; the paper and Model Garden correct, google-research/albert
            does not.
        kwargs: also `rate_factors`, see `ReducedOptimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        clip_norm: float | None = 1.0,
        exclude_from_weight_decay: Sequence[str] = NOT_DECAYED,
        bias_correction: bool = True,
        exclude_from_layer_adaptation: Sequence[str] | None = None,
        name: str = "lamb",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay,
            beta_1,
            beta_2,
            epsilon,
            clip_norm,
            exclude_from_weight_decay,
            bias_correction,
            name,
            **kwargs,
        )
        if exclude_from_layer_adaptation is None:
            exclude_from_layer_adaptation = exclude_from_weight_decay
        self.not_adapted = tuple(exclude_from_layer_adaptation)

    @classmethod
    def google(cls, learning_rate: Any = 1e-3, **arguments: Any) -> LAMB:
        """As google-research/albert has it: no bias correction; neither decay nor adaptation
        of biases and layer normalisation."""
        return cls(learning_rate, **{"bias_correction": False, **arguments})

    @classmethod
    def nvidia(cls, learning_rate: Any = 1e-3, **arguments: Any) -> LAMB:
        """NVLAMB, as in NVIDIA's DeepLearningExamples: bias correction; biases and layer
        normalisation do not decay but do adapt."""
        return cls(learning_rate, **{"exclude_from_layer_adaptation": (), **arguments})

    def adapts(self, path: str) -> bool:
        """Whether the step of the variable with this path is scaled to its size."""
        return not any(re.search(pattern, path) for pattern in self.not_adapted)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._parts = [
            0 if not self.adapts(path) else _FUSED_PARTS if _FUSED.search(path) else 1
            for path in (variable.path for variable in variables)
        ]

    def update_step(self, gradient: Any, variable: Any, scalars: Scalars) -> None:
        index = self._get_variable_index(variable)
        before = _read(variable)
        # Adam's own kernel writes its direction, with a rate of -1 from zero: one pass over
        # the four arrays, and no array of its own for the direction.
        self.assign(variable, ops.zeros_like(before))
        self._adam_step(index, gradient, variable, -1.0, scalars)
        direction = _read(variable)
        if self._decay_flags[index]:
            direction = direction + before * self.decay_rate
        rate = self._rate_of(index, scalars.learning_rate)
        self.assign(variable, before - self._scaled(direction, before, rate, self._parts[index]))

    def _scaled(self, direction: Any, weight: Any, rate: Any, parts: int) -> Any:
        """`direction`, times the rate and, of each of so many parts of the columns, the ratio."""
        if not parts:
            return direction * rate
        shape = (-1, parts, weight.shape[-1] // parts)
        own, step = ops.reshape(weight, shape), ops.reshape(direction, shape)
        size, length = (ops.sum(ops.square(x), (0, 2), keepdims=True) for x in (own, step))
        usable = ops.logical_and(size > 0, length > 0)
        ratio = ops.where(usable, ops.sqrt(size / ops.where(usable, length, 1.0)), 1.0)
        return ops.reshape(step * (ratio * rate), weight.shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "exclude_from_layer_adaptation": list(self.not_adapted)}
