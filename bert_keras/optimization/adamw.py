"""AdamW with the exclusions of BERT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from bert_keras.optimization.layer_decay import RateFactors
from bert_keras.optimization.reduced_optimizer import (
    NOT_DECAYED,
    ON_TENSORFLOW,
    ReducedOptimizer,
)

if ON_TENSORFLOW:
    import tensorflow as tf


class Scalars(NamedTuple):
    """What an update of every variable needs, float32: computed once, not for each of them.

    The corrections are what the moments lack after this update for having started at zero.
    """

    learning_rate: Any
    first_correction: Any
    second_correction: Any


@keras.saving.register_keras_serializable(package="bert_keras")
class AdamW(ReducedOptimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017), as BERT uses it.

    Defaults are those of google-research/bert: betas 0.9 and 0.999, epsilon 1e-6, decay 0.01
    of everything but biases and layer normalisation, global norm clipped to 1 (here after
    the sum over replicas).

    Args:
        learning_rate: a number or a schedule, such as `WarmupDecay`.
        bias_correction: correct the moments for their start at zero, as Kingma and Ba 2014,
            PyTorch and Keras do. False gives google-research/bert's variant without it.
        rate_factors: learning rates by regular expressions; see `ReducedOptimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 5e-5,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        clip_norm: float | None = 1.0,
        exclude_from_weight_decay: Sequence[str] = NOT_DECAYED,
        bias_correction: bool = True,
        name: str = "adamw",
        rate_factors: RateFactors = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay,
            exclude_from_weight_decay,
            clip_norm,
            name,
            rate_factors,
            **kwargs,
        )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.bias_correction = bias_correction

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._first_moments = self.add_optimizer_variables(variables, "first_moment")
        self._second_moments = self.add_optimizer_variables(variables, "second_moment")

    def _scalars(self, learning_rate: Any) -> Scalars:
        rate = ops.cast(learning_rate, "float32")
        if not self.bias_correction:
            return Scalars(rate, ops.ones(()), ops.ones(()))
        step = ops.cast(self.iterations + 1, "float32")
        return Scalars(rate, 1.0 - ops.power(self.beta_1, step), 1.0 - ops.power(self.beta_2, step))

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        super()._backend_update_step(grads, trainable_variables, self._scalars(learning_rate))

    def update_step(self, gradient: Any, variable: Any, scalars: Scalars) -> None:
        index = self._get_variable_index(variable)
        rate = self._rate_of(index, scalars.learning_rate)
        if self._decay_flags[index]:
            # Not `assign_sub`, which would pass over the weights once more.
            self.assign(variable, ops.multiply(variable, 1.0 - rate * self.decay_rate))
        self._adam_step(index, gradient, variable, rate, scalars)

    def _adam_step(
        self, index: int, gradient: Any, variable: Any, rate: Any, scalars: Scalars
    ) -> None:
        """Updates the moments and moves the variable by `-rate` times Adam's direction."""
        first, second = self._first_moments[index], self._second_moments[index]
        _, first_correction, second_correction = scalars
        if ON_TENSORFLOW:
            # One pass over the four arrays. The kernel adds its epsilon to the root of the
            # uncorrected moment, hence the factor.
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.value.handle,
                v=second.value.handle,
                beta1_power=1.0 - first_correction,
                beta2_power=1.0 - second_correction,
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon * ops.sqrt(second_correction),
                grad=gradient,
            )
            return
        self.assign(first, first * self.beta_1 + gradient * (1 - self.beta_1))
        self.assign(second, second * self.beta_2 + ops.square(gradient) * (1 - self.beta_2))
        denominator = ops.sqrt(second / second_correction) + self.epsilon
        self.assign_sub(variable, rate * (first / first_correction) / denominator)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
        }
