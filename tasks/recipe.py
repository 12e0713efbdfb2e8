"""BERT's recipe for fine-tuning, and the optimizer that `compile` is given in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.optimization import AdamW, WarmupDecay
from bert_keras.optimization.layer_decay import RateFactors
from bert_keras.tasks.input_checks import as_float, shown


def chosen_optimizer(
    optimizer: Any,
    peak_rate: float,
    rate_factors: Callable[[float], RateFactors],
    recipe: Mapping[str, Any],
) -> keras.optimizers.Optimizer:
    """Returns the optimizer of the recipe, or the one that `compile` is given.

    Args:
        optimizer: anything that `keras.optimizers.get` takes; None for the recipe.
        peak_rate: the recipe's learning rate where it is not given.
        rate_factors: makes the recipe's factors from `layer_decay`.
        recipe: the arguments of `recipe_optimizer` that are given, by name.

    Raises:
        TypeError: an argument of the recipe is unknown.
        UserError: `optimizer` is none, an argument of the recipe is given beside it, or a value
            is none of its argument.
    """
    for name in recipe:
        if name not in _ARGUMENTS:
            known = ", ".join(_ARGUMENTS)
            raise TypeError(f"compile() got an unexpected argument {name!r}; expected {known}")
    if optimizer is None:
        return recipe_optimizer(rate_factors, **{"learning_rate": peak_rate, **recipe})
    for name, value in recipe.items():
        raise UserError(
            f"{name} is {shown(value)}; it is an argument of the recipe, which an optimizer "
            f"replaces: leave optimizer out, or set {name} in the optimizer"
        )
    try:
        found = keras.optimizers.get(optimizer)
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, keras.optimizers.Optimizer):
        raise UserError(
            f"optimizer is {shown(optimizer)}; expected an optimizer of Keras or its name, such "
            'as "adam"'
        )
    return found


_ARGUMENTS = ("learning_rate", "warmup_ratio", "weight_decay", "clip_norm", "layer_decay")


def recipe_optimizer(
    rate_factors: Callable[[float], RateFactors],
    learning_rate: float,
    warmup_ratio: float = 0.1,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    layer_decay: float = 1.0,
) -> AdamW:
    """Returns AdamW with a linear warm-up and a linear decay to zero.

    The length of the run is set by `fit`. Biases and layer normalization are not decayed.

    Args:
        rate_factors: makes from `layer_decay` what the learning rate is multiplied by, variable
            by variable.
        learning_rate: the peak.
        warmup_ratio: the share of the run in which the rate rises.
        weight_decay: of all other weights.
        clip_norm: the largest global norm of the gradient; None clips nothing.
        layer_decay: below 1 the lower layers learn more slowly; see `layer_decay_factors`.

    Raises:
        UserError: a value is not a number, or is out of its range.
    """
    ratio = _number("warmup_ratio", warmup_ratio)
    if ratio > 1:
        raise UserError(f"warmup_ratio is {ratio:g}; expected a share from 0 to 1")
    schedule = WarmupDecay(_number("learning_rate", learning_rate), warmup_ratio=ratio)
    return AdamW(
        schedule,
        _number("weight_decay", weight_decay),
        clip_norm=None if clip_norm is None else _number("clip_norm", clip_norm),
        rate_factors=rate_factors(_number("layer_decay", layer_decay)),
    )


def lay_out_schedule(
    optimizer: Any, dataset: tf.data.Dataset, epochs: int, steps_per_epoch: int | None
) -> bool:
    """Lays warm-up and decay out over the coming run; returns whether there are any.

    Raises:
        ValueError: the number of steps is not known.
    """
    schedule = getattr(optimizer, "_learning_rate", None)
    if not isinstance(schedule, WarmupDecay):
        return False
    steps = steps_per_epoch
    if steps is None and int(dataset.cardinality()) >= 0:
        steps = int(dataset.cardinality())
    if steps is None:
        raise ValueError(
            "the dataset's size is unknown, so warm-up and decay cannot be laid out: "
            "give steps_per_epoch, or dataset.apply(tf.data.experimental.assert_cardinality)"
        )
    done = int(keras.ops.convert_to_numpy(optimizer.iterations.value))
    schedule.resolve(steps * epochs, first_step=done)
    return True


def _number(name: str, value: Any) -> float:
    number = None if isinstance(value, bool) else as_float(value)
    if number is None or not 0 <= number < float("inf"):
        raise UserError(f"{name} is {shown(value)}; expected a number of at least 0")
    return number
