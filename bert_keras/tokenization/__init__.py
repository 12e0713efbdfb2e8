"""The in-graph WordPiece tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

__all__ = ["BertTokenizer"]


def __getattr__(name: str) -> Any:
    # Training a vocabulary and reading a corpus store need no TensorFlow.
    if name != "BertTokenizer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

    return BertTokenizer
