"""Tensors of a checkpoint read by name, and the weights of a model filled from them."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from bert_keras.checkpoints.names import Entry, head_entries
from bert_keras.errors import UserError

# Names listed in one message; a checkpoint of another model may lack hundreds.
_NAMES_SHOWN = 20


class TensorStore(abc.ABC):
    """The tensors of a checkpoint by name; values are read one at a time, when asked for."""

    source: str
    """The file or folder, for messages."""

    @abc.abstractmethod
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of every tensor by the name of the format's table (`names`)."""

    @abc.abstractmethod
    def read(self, name: str) -> np.ndarray:
        """The float32 values of one tensor.

        Raises:
            UserError: the file is damaged there.
        """

    def describe(self, name: str) -> str:
        """The file that has a tensor and the tensor's name in it, for messages."""
        return f"{self.source}: tensor {name!r}"


def listed(names: Iterable[str]) -> str:
    """Names in one line, the first twenty when there are more."""
    every = sorted(names)
    shown = ", ".join(every[:_NAMES_SHOWN])
    rest = len(every) - _NAMES_SHOWN
    return shown if rest <= 0 else f"{shown} and {rest} more"


def check_names(
    store: TensorStore, entries: Sequence[Entry], unexpected: Iterable[str] = ()
) -> None:
    """A UserError that names every tensor that is missing, and every one without a place.

    Args:
        store: the checkpoint.
        entries: what is needed.
        unexpected: names that belong to no weight of the model.
    """
    shapes = store.shapes()
    missing = [name for entry in entries for name in entry.names if name not in shapes]
    unexpected = list(unexpected)
    found = [
        f"{count} {kind} tensor{'s' if count > 1 else ''}: {listed(names)}"
        for kind, names in (("missing", missing), ("unexpected", unexpected))
        if (count := len(names))
    ]
    if found:
        raise UserError(f"{store.source}: {'; '.join(found)}")


def read_entry(store: TensorStore, entry: Entry, shape: Sequence[int] | None = None) -> np.ndarray:
    """The value of one weight in our layout, float32.

    Args:
        store: the checkpoint.
        entry: which tensors hold the weight.
        shape: the shape that it must have, or None for any.

    Raises:
        UserError: a tensor has another shape.
    """
    if shape is not None:
        check_shape(store, entry, shape)
    parts = [store.read(name) for name in entry.names]
    if entry.transposed:
        parts = [part.T for part in parts]
    return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def check_shape(store: TensorStore, entry: Entry, shape: Sequence[int]) -> None:
    """A UserError unless the tensors of a weight have the shape that the config asks for."""
    expected = entry.stored_shape(shape)
    for name in entry.names:
        received = store.shapes()[name]
        if received != expected:
            raise UserError(
                f"{store.describe(name)} has shape {list(received)}, "
                f"the config asks for {list(expected)}"
            )


def fill(weights: Mapping[str, Any], entries: Sequence[Entry], store: TensorStore) -> None:
    """Assigns weights from a checkpoint, one by one; shapes are checked before any changes.

    Args:
        weights: Keras variables by our path, as `named_weights()` gives them.
        entries: which tensors hold each of them.
        store: the checkpoint.

    Raises:
        UserError: a tensor has another shape than its variable, or cannot be read.
    """
    for entry in entries:
        check_shape(store, entry, weights[entry.path].shape)
    for entry in entries:
        weights[entry.path].assign(read_entry(store, entry))


def split_entry(entry: Entry, value: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors that hold one weight of ours in another format, by name; contiguous."""
    parts = np.split(value, len(entry.names), axis=-1)
    return {
        name: np.ascontiguousarray(part.T if entry.transposed else part)
        for name, part in zip(entry.names, parts, strict=True)
    }


def head_tensors(head: str, weights: Mapping[str, Any], format: str) -> dict[str, np.ndarray]:
    """A head's tensors in a format, float32, by name.

    Args:
        head: one of `names.HEADS`.
        weights: arrays or Keras variables by our paths.
        format: one of `names.FORMATS`.

    Raises:
        ValueError: the head is unknown, or these are not its weights.
    """
    entries = head_entries(head, format)
    paths = [entry.path for entry in entries]
    if sorted(paths) != sorted(weights):
        raise ValueError(f"head {head!r} has the weights {paths}, received {sorted(weights)}")
    tensors: dict[str, np.ndarray] = {}
    for entry in entries:
        value = np.asarray(ops.convert_to_numpy(weights[entry.path]), np.float32)
        tensors |= split_entry(entry, value)
    return tensors
