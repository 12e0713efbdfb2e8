"""The in-graph WordPiece tokenizer."""

from __future__ import annotations

from bert_keras.tokenization.bert_tokenizer import BertTokenizer

__all__ = ["BertTokenizer"]
