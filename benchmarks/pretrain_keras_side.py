"""What the sides made with Keras share: feeding a step, reading sums, keeping the state."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pretrain_recipe
import tensorflow as tf


class KerasSide:
    """A Keras model and its optimizer, as the loop drives them.

    A subclass sets both and, as `tf.function`s, `_step` (a batch and a learning rate) and `_sums`
    (a batch to summed loss, number of masked tokens, number of correct predictions).
    """

    _model: keras.Model
    _optimizer: keras.optimizers.Optimizer
    _step: Any
    _sums: Any

    def step(self, batch: pretrain_recipe.Batch, learning_rate: float) -> None:
        tensors = {name: tf.constant(array) for name, array in batch.items()}
        self._step(tensors, tf.constant(learning_rate))

    def sums(self, batch: pretrain_recipe.Batch) -> tuple[float, float, float]:
        tensors = {name: tf.constant(array) for name, array in batch.items()}
        total, weight, correct = self._sums(tensors)
        return float(total), float(weight), float(correct)

    def _variables(self) -> list[keras.Variable]:
        return [*self._model.variables, *self._optimizer.variables]

    def state(self) -> Any:
        return [np.array(variable.numpy()) for variable in self._variables()]

    def restore(self, state: Any) -> None:
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)
