"""Checks of the arguments that Keras's own methods have and a task has not, or only in part."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tasks.input_checks import as_float, kind_of, shown


def predicted_inputs(x: Any, verbose: Any, steps: int | None, callbacks: Any) -> Any:
    """Returns what `predict` is to answer: `x`, or the first `steps` elements of a dataset.

    Raises:
        UserError: `x` has no end, or an argument asks for what `predict` does not have.
    """
    # Keras's values are taken, though there is no progress bar to show or hide.
    if verbose not in (0, 1, 2, "auto"):
        raise UserError(f"verbose is {shown(verbose)}; expected 0, 1, 2 or 'auto'")
    if callbacks:
        raise UserError("callbacks: predict runs none; leave them out")
    if not isinstance(x, tf.data.Dataset):
        if steps is not None:
            raise UserError(f"steps is {shown(steps)}; it is for a tf.data.Dataset as x")
        return x
    if steps is not None:
        return x.take(steps)
    if int(x.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise UserError("x is a dataset without end; give steps=, the number of its elements")
    return x


def check_split(validation_split: Any) -> None:
    """Raises a UserError where `fit` is to split its data, which it does not do."""
    if validation_split:
        raise UserError(
            f"validation_split is {shown(validation_split)}; not supported: pass "
            "validation_data=(texts, labels)"
        )


def split_validation(validation_data: Any) -> tuple[Any, Any, Any]:
    """Returns x, y and the weights of `validation_data`; None for what is not in it.

    Raises:
        UserError: it is a tuple of more parts, or no tuple but plain inputs.
    """
    if isinstance(validation_data, tuple) or _is_list_of_parts(validation_data):
        if 1 <= len(validation_data) <= 3:
            return (*validation_data, None, None)[:3]
        raise UserError(
            f"validation_data has {len(validation_data)} parts; expected (x, y) or "
            "(x, y, sample_weight)"
        )
    if isinstance(validation_data, (list, str, bytes)) or hasattr(validation_data, "dtypes"):
        raise UserError(
            f"validation_data is {kind_of(validation_data)}; expected a tuple (x, y), or a "
            "tf.data.Dataset"
        )
    return validation_data, None, None


def _is_list_of_parts(value: Any) -> bool:
    """Returns whether a list is [x, y] or [x, y, weights], and not one of texts."""
    return (
        isinstance(value, list)
        and 2 <= len(value) <= 3
        and not any(isinstance(part, (str, bytes)) for part in value)
    )


def check_compiled(task: keras.Model, method: str) -> None:
    """Raises a UserError where `compile` was not called."""
    if not task.compiled:
        raise UserError(f"{type(task).__name__}: call compile() before {method}()")


def check_loss(loss: Any, loss_weights: Any) -> None:
    """Raises a UserError where `compile` is given a loss, which is the task's own."""
    for name, value in (("loss", loss), ("loss_weights", loss_weights)):
        if value is not None:
            hint = ""
            if as_float(value) is not None:
                hint = f" (a learning rate is given by name: learning_rate={shown(value)})"
            raise UserError(
                f"{name} is {shown(value)}; the loss is the task's own and cannot be set: leave "
                f"{name} out{hint}"
            )


def check_metrics(task: str, metrics: Any, weighted_metrics: Any, taken: str) -> None:
    """Raises a UserError where metrics do not suit a task's outputs.

    Of a name, Keras chooses the function by the shapes of labels and outputs, and takes the
    outputs for probabilities.

    Args:
        task: the class, for messages.
        metrics, weighted_metrics: what `compile` was given.
        taken: "none", "objects" of Keras alone, or "names" too.
    """
    for name, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
        for metric in tf.nest.flatten(value) if value is not None else ():
            if taken == "none":
                raise UserError(f"{name}: {task} has its own and takes no others; leave them out")
            if isinstance(metric, str) and taken != "names":
                raise UserError(
                    f"{name} has {metric!r}; the outputs of {task} are not what Keras takes for "
                    "this name: give a keras.metrics.Metric of its labels and outputs, or leave "
                    "it out"
                )
