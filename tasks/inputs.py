"""Texts and pairs of texts, in the forms that a Keras user passes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def split_texts(x: Any) -> tuple[Any, Any]:
    """The texts and the second texts (or None) of `x`.

    `x` is texts alone; a tuple of texts and second texts; or a dict with `text` and, for
    pairs, `text_pair`.

    Raises:
        ValueError: a dict without `text`, or a tuple of another length than two or of two
            bare strings.
    """
    if isinstance(x, Mapping):
        if "text" not in x:
            raise ValueError(f"expected a dict with 'text', received keys {sorted(x)}")
        return x["text"], x.get("text_pair")
    if isinstance(x, tuple):
        if len(x) != 2:
            raise ValueError(f"expected a tuple (texts, second texts), received {len(x)} parts")
        if isinstance(x[0], (str, bytes)):
            raise ValueError(f"expected a tuple of two lists of texts, received {x!r}")
        return x
    return x, None


def split_columns(x: Any, names: Sequence[str]) -> list[list[str]]:
    """The columns of `x`, a list of strings each.

    `x` is a dict of columns by these names; a tuple of columns; or a list of tuples, one for
    each example.

    Raises:
        ValueError: a dict lacks a name, or there are more or fewer columns.
    """
    if isinstance(x, Mapping):
        if not set(names) <= set(x):
            raise ValueError(f"expected a dict with {', '.join(names)}, received keys {sorted(x)}")
        columns: Sequence[Any] = [x[name] for name in names]
    elif isinstance(x, tuple):
        columns = x
    else:
        for row in x:
            if isinstance(row, (str, bytes)) or len(row) != len(names):
                raise ValueError(f"expected tuples ({', '.join(names)}), received {row!r}")
        columns = list(zip(*x, strict=True)) or [[] for _ in names]
    if len(columns) != len(names):
        raise ValueError(f"expected {', '.join(names)}, received {len(columns)} columns")
    return [as_strings(column) for column in columns]


def has_pairs(x: Any) -> bool:
    """Whether `x`, texts or their specification in a dataset, has second texts."""
    return isinstance(x, tuple) or (isinstance(x, Mapping) and x.get("text_pair") is not None)


def has_features(x: Any) -> bool:
    """Whether `x`, inputs or their specification in a dataset, is features, not texts."""
    return isinstance(x, Mapping) and "text" not in x


def is_text(spec: Any) -> bool:
    """Whether a dataset's element, or the first part of it, holds strings."""
    return any(leaf.dtype == tf.string for leaf in tf.nest.flatten(spec))


def as_strings(values: Any) -> list[str]:
    """A list of Python strings from a string or from a list, array or tensor of strings.

    Raises:
        ValueError: an element is not a string.
    """
    if isinstance(values, (str, bytes)):
        values = [values]
    if isinstance(values, tf.Tensor):
        values = values.numpy()
    strings = []
    for value in values:
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="ignore")
        if not isinstance(value, str):
            raise ValueError(
                f"expected strings, received {value!r}; pairs are a tuple (texts, second texts)"
            )
        strings.append(value)
    return strings


def gather_texts(x: Any) -> Any:
    """The texts of a dataset of batches, in the form of its elements; anything else as it is."""
    if not isinstance(x, tf.data.Dataset):
        return x
    batches = [batch[0] if isinstance(batch, tuple) and len(batch) == 1 else batch for batch in x]
    if not batches:
        return []
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0).numpy(), *batches)


def as_dataset(
    x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle_seed: int | None
) -> tf.data.Dataset:
    """A dataset of batches from what `fit` and `evaluate` accept.

    A dataset is taken as it is, and batched when its elements are single examples. Texts in
    lists or arrays are shuffled (with `shuffle_seed`, anew each epoch) and batched.
    """
    if isinstance(x, tf.data.Dataset):
        if any(leaf.shape.rank == 0 for leaf in tf.nest.flatten(x.element_spec)):
            return x.batch(batch_size or 32)
        return x
    if has_features(x):
        inputs: Any = {name: np.asarray(value) for name, value in x.items()}
    else:
        texts, pairs = split_texts(x)
        inputs = as_strings(texts) if pairs is None else (as_strings(texts), as_strings(pairs))
    parts = tuple(np.asarray(part) for part in (y, sample_weight) if part is not None)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, *parts) if parts else (inputs,))
    if shuffle_seed is not None:
        dataset = dataset.shuffle(int(dataset.cardinality()), seed=shuffle_seed)
    return dataset.batch(batch_size or 32)
