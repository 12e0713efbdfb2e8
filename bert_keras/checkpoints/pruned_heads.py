"""Attention heads that were pruned, put back as heads that add nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bert_keras.checkpoints.stores import TensorStore
from bert_keras.config import BertConfig
from bert_keras.errors import UserError

# The tensors that transformers' `prune_heads` shortens, and the axis along which it does.
_PROJECTION = re.compile(r"encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)\.\w+$")
_OUTPUT = re.compile(r"encoder\.layer\.(\d+)\.attention\.output\.dense\.weight$")


def pruned_heads_of(settings: Mapping[str, Any], config: BertConfig, source: str) -> dict[int, Any]:
    """Returns the pruned heads of each layer that has some, by `pruned_heads` of config.json.

    Raises:
        UserError: it names a layer or a head that the model does not have.
    """
    stated = settings.get("pruned_heads") or {}
    try:
        heads = {int(layer): sorted(map(int, pruned)) for layer, pruned in stated.items() if pruned}
    except (AttributeError, TypeError, ValueError):
        heads = {-1: []}
    for layer, pruned in heads.items():
        known = set(range(config.num_attention_heads))
        if not (0 <= layer < config.num_hidden_layers and set(pruned) <= known):
            raise UserError(
                f"{source}: pruned_heads is {stated!r}, expected lists of heads 0 to "
                f"{config.num_attention_heads - 1} by layers 0 to {config.num_hidden_layers - 1}"
            )
    return heads


class UnprunedStore(TensorStore):
    """The tensors of a store, with zeros where heads were pruned.

    A head with zeros as query, key and value gives zeros, which the output projection's zeros
    keep out too: the model computes what the pruned one does, and is no smaller than an
    unpruned one.

    Args:
        store: of a model with pruned heads, by Hugging Face's names.
        pruned: the pruned heads by layer.
        config: of the model, with the number of heads before.
    """

    def __init__(self, store: TensorStore, pruned: Mapping[int, Any], config: BertConfig) -> None:
        self.source = store.source
        self._store, self._width = store, config.hidden_size
        every = range(config.num_attention_heads)
        self._kept = {}
        for layer, heads in pruned.items():
            kept = np.array([head for head in every if head not in heads], np.int64)
            columns = kept[:, None] * config.head_size + np.arange(config.head_size)
            self._kept[layer] = columns.reshape(-1)
        self._shapes = {name: self._full_shape(name, s) for name, s in store.shapes().items()}

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def describe(self, name: str) -> str:
        return self._store.describe(name)

    def read(self, name: str) -> np.ndarray:
        value, shape = self._store.read(name), self._shapes[name]
        if value.shape == shape:
            return value
        full, kept = np.zeros(shape, value.dtype), self._kept[self._layer(name)]
        if _OUTPUT.match(name):
            full[:, kept] = value
        else:
            full[kept] = value
        return full

    def _layer(self, name: str) -> int:
        match = _PROJECTION.match(name) or _OUTPUT.match(name)
        return int(match[1]) if match else -1

    def _full_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape with all heads; of a tensor that is not as short as it should be,
        its own."""
        kept = self._kept.get(self._layer(name))
        axis = 1 if _OUTPUT.match(name) else 0
        if kept is None or len(shape) <= axis or shape[axis] != len(kept):
            return shape
        return (*shape[:axis], self._width, *shape[axis + 1 :])
