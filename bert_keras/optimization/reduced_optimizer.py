"""What BERT's optimizers share: reduce over replicas, then clip, then apply; decay by path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_keras.optimization.layer_decay import RateFactors, rate_factor

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"

if ON_TENSORFLOW:
    import tensorflow as tf

# google-research/bert decays everything but biases and layer normalisation; the tables of
# words, positions and segments do decay.
NOT_DECAYED = ("bias$", "gamma$", "beta$", "layer_norm")


def _squared_norm(tensors: list[Any]) -> Any:
    wide = [ops.cast(tensor, "float32") for tensor in tensors]
    if ON_TENSORFLOW:
        # Without an array of squares in between.
        return 2.0 * tf.add_n([tf.nn.l2_loss(x) for x in wide])
    return sum(ops.sum(ops.square(x)) for x in wide)


def _rows_once(grad: Any) -> Any:
    """A gathered table's gradient lists a row once per use: here each row's sum, once.

    Only the sums have the right norm, and they are few: the table's other rows, most of it, need
    be neither read for the norm nor scaled. Where shapes are known they stay so, as TPUs need it.
    """
    if not isinstance(grad, tf.IndexedSlices) or grad.indices.shape.is_fully_defined():
        return tf.convert_to_tensor(grad)
    rows, places = tf.unique(grad.indices)
    sums = tf.math.unsorted_segment_sum(grad.values, places, tf.size(rows))
    return tf.IndexedSlices(sums, rows, grad.dense_shape)


def _values(grad: Any) -> Any:
    return grad.values if ON_TENSORFLOW and isinstance(grad, tf.IndexedSlices) else grad


def _scaled(grad: Any, scale: Any) -> Any:
    values = _values(grad)
    scaled = values * ops.cast(scale, values.dtype)
    return scaled if values is grad else tf.IndexedSlices(scaled, grad.indices, grad.dense_shape)


class ReducedOptimizer(keras.optimizers.Optimizer):
    """An optimizer that sums gradients over replicas before it clips them.

    Keras clips on each replica before the sum, so under a strategy its threshold means
    something else than on one device. Here the global norm is that of the summed gradient.

    Args:
        weight_decay: decoupled decay, multiplied by the learning rate.
        exclude_from_weight_decay: regular expressions; a variable one of whose path's parts
            matches (`re.search`) does not decay. They are kept in the configuration, so that
            a reloaded model trains on in the same way.
        clip_norm: largest global norm of the gradient, or None.
        rate_factors: pairs of a regular expression and a number, such as
            `layer_decay_factors` gives: the learning rate of a variable, its weight decay
            included, is multiplied by the number of the first expression found in its path.
            They are kept in the configuration as well.
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float,
        exclude_from_weight_decay: Sequence[str],
        clip_norm: float | None,
        name: str,
        rate_factors: RateFactors = (),
        **kwargs: Any,
    ) -> None:
        if kwargs.get("gradient_accumulation_steps"):
            # Keras counts micro-steps as iterations inside the graph, which the seeds of
            # dropout and the weights of uneven batches would have to follow.
            raise ValueError("gradient_accumulation_steps is not supported by this optimizer")
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.decay_rate = weight_decay
        self.not_decayed = tuple(exclude_from_weight_decay)
        self.clip_norm = clip_norm
        self.rate_factors = tuple((pattern, float(factor)) for pattern, factor in rate_factors)

    def decays(self, path: str) -> bool:
        """Whether the variable with this path is subject to weight decay."""
        return self.decay_rate > 0 and not any(re.search(p, path) for p in self.not_decayed)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._decay_flags = [self.decays(variable.path) for variable in variables]
        self._factors = [rate_factor(self.rate_factors, variable.path) for variable in variables]

    def _rate_of(self, index: int, learning_rate: Any) -> Any:
        """The learning rate of the variable with this index, given that of the optimizer."""
        factor = self._factors[index]
        return learning_rate if factor == 1.0 else learning_rate * factor

    def decay_over(self, path: str, first: int, last: int) -> float:
        """What updates `first` to `last`, this one left out, multiply a variable by that has
        neither a gradient nor moments: weight decay alone moves it."""
        if not self.decays(path):
            return 1.0
        rate = self._learning_rate
        rates = rate(np.arange(first, last)) if callable(rate) else ops.ones(last - first) * rate
        decays = np.asarray(ops.convert_to_numpy(rates), np.float64) * self.decay_rate
        return float(np.prod(1.0 - decays * rate_factor(self.rate_factors, path)))

    def _clip(self, grads: list[Any]) -> list[Any]:
        """The gradients, scaled so that their global norm is at most `clip_norm`."""
        if self.clip_norm is None:
            return grads
        norm = ops.sqrt(_squared_norm([_values(grad) for grad in grads]))
        scale = self.clip_norm / ops.maximum(norm, self.clip_norm)
        return [_scaled(grad, scale) for grad in grads]

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        if not ON_TENSORFLOW:
            clipped = self._clip(grads)
            super()._backend_update_step(clipped, trainable_variables, learning_rate)
            return
        variables = [getattr(variable, "value", variable) for variable in trainable_variables]
        if self._distribution_strategy.num_replicas_in_sync == 1:
            reduced = [_rows_once(grad) for grad in grads]
        else:
            # Only dense tensors are reduced over replicas.
            dense = [tf.convert_to_tensor(grad) for grad in grads]
            pairs = self._all_reduce_sum_gradients(list(zip(dense, variables, strict=True)))
            reduced = [grad for grad, _ in pairs]
        clipped = [tf.convert_to_tensor(grad) for grad in self._clip(reduced)]
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._distributed_tf_update_step,
            self._distribution_strategy,
            list(zip(clipped, variables, strict=True)),
            learning_rate,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("clipnorm", "global_clipnorm", "clipvalue"):
            config.pop(name, None)
        config.update(
            weight_decay=self.decay_rate,
            exclude_from_weight_decay=list(self.not_decayed),
            clip_norm=self.clip_norm,
            rate_factors=[list(pair) for pair in self.rate_factors],
        )
        return config
