"""`size:NAME`: a published size with random weights, ready to be trained from scratch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bert_keras.checkpoints import names, stores
from bert_keras.checkpoints.checkpoint import AddPooler, Checkpoint
from bert_keras.config import BertConfig
from bert_keras.errors import UserError
from bert_keras.layers.basic import weight_seed
from bert_keras.models.encoder import BertEncoder

if TYPE_CHECKING:
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer


class RandomSize(Checkpoint):
    """No files behind it: `BertConfig.named(NAME)` and fresh weights.

    Raises:
        UserError: the size is unknown.
    """

    format = "size"

    def __init__(self, name: str) -> None:
        self.source = f"size:{name}"
        self.config = BertConfig.named(name)
        self.settings: Mapping[str, Any] = {}

    def store(self) -> stores.TensorStore:
        raise UserError(f"{self.source}: random weights, there are no tensors to read")

    def has_pooler(self) -> bool:
        return True

    def has_head(self, head: str) -> bool:
        return False

    def announce(self, heads: Iterable[str] = ()) -> None:
        """Says nothing: that all weights are random is what `size:` means."""

    def _checked_head(self, head: str) -> list[names.Entry]:
        raise UserError(f"{self.source}: random weights, there is no {head} head to read")

    def encoder(
        self,
        add_pooler: AddPooler = "auto",
        dtype: Any = None,
        config: Mapping[str, Any] | None = None,
        seed: int = 0,
        announce: bool = True,
        **arguments: Any,
    ) -> BertEncoder:
        with weight_seed(seed):
            return BertEncoder(
                dataclasses.replace(self.config, **(config or {})),
                add_pooler=bool(add_pooler),
                dtype=dtype,
                **arguments,
            )

    def tokenizer(self, lowercase: bool | None = None) -> BertTokenizer:
        raise UserError(f"{self.source}: random weights come without a vocabulary; give one")
