"""Options of a task as a model directory has them, checked against the constructor's types."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras import checkpoints

# The member of config.json that holds them.
KEY = "bert_keras"
_LARGEST = 2**31


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LARGEST


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) < _LARGEST and math.isfinite(value)


def _is_list(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    return all(isinstance(one, (str, int)) and not isinstance(one, bool) for one in value)


# By the name of a type in an annotation: whether a JSON value is of it.
_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "None": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "float": _is_number,
    "int": _is_integer,
    "Mapping": lambda value: isinstance(value, dict),
    "Sequence": _is_list,
    "str": lambda value: isinstance(value, str),
}


def own_settings(checkpoint: checkpoints.Checkpoint) -> Mapping[str, Any]:
    """Returns what a checkpoint's config says to this library alone; empty where it says nothing.

    Raises:
        UserError: it is no object.
    """
    own = checkpoint.settings.get(KEY, {})
    if not isinstance(own, Mapping):
        raise UserError(f"{checkpoint.source}: {KEY} of its config is {own!r}, expected an object")
    return own


def stored_length(checkpoint: checkpoints.Checkpoint) -> int | None:
    """Returns the tokens per example that a checkpoint was saved with, None where it is silent.

    Raises:
        UserError: it is no positive whole number.
    """
    length = own_settings(checkpoint).get("max_length")
    if length is not None and not _is_integer(length):
        raise UserError(
            f"{checkpoint.source}: max_length of {KEY} in its config is {length!r}, expected a "
            "positive whole number"
        )
    return length


def stored_options(
    checkpoint: checkpoints.Checkpoint, names: set[str], constructor: Callable[..., Any]
) -> dict[str, Any]:
    """Returns the options of a checkpoint's config by name.

    Args:
        checkpoint: a checkpoint of the task.
        names: the task's own arguments of the constructor.
        constructor: its annotations say what is expected; what they have beyond simple types is
            not checked here.

    Raises:
        UserError: a value is of another type.
    """
    own, parameters = own_settings(checkpoint), inspect.signature(constructor).parameters
    options = {name: own[name] for name in names if name in own}
    for name, value in options.items():
        annotation = parameters[name].annotation
        written = (
            annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        )
        types = [part.strip().partition("[")[0] for part in written.split(" | ")]
        if not all(name in _CHECKS for name in types):
            continue
        if not any(_CHECKS[name](value) for name in types):
            raise UserError(
                f"{checkpoint.source}: {name} of {KEY} in its config is {value!r}, expected "
                f"{' or '.join(types)}"
            )
    return options
