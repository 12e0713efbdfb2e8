"""Marks of whole Chinese words, for masking that hides a word and not a character."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer

KINDS = ("none", "jieba")


class Segmenter:
    """Tokenizes sentences and says which tokens begin a word, as jieba cuts words.

    Args:
        tokenizer: the tokenizer; a "##" piece never begins a word.

    Raises:
        UserError: jieba is not installed.
    """

    def __init__(self, tokenizer: BertTokenizer):
        self._tokenizer = tokenizer
        self._cut = _jieba()
        pieces = tokenizer.vocabulary
        self._continues = np.array([piece.startswith("##") for piece in pieces])

    def __call__(self, sentences: Sequence[str]) -> tuple[tf.RaggedTensor, np.ndarray]:
        """Ids, ragged int32 [sentences, (tokens)], and bool [tokens] of all of them on end."""
        ids, starts, _ = self._tokenizer.offsets(sentences)
        lengths = np.array([len(sentence) for sentence in sentences], np.int64)
        bases = np.cumsum(lengths) - lengths
        sizes = [len(word) for sentence in sentences for word in self._cut(sentence)]
        ends = np.cumsum(sizes)
        places = starts.flat_values.numpy() + np.repeat(bases, ids.row_lengths().numpy())
        word = np.searchsorted(ends, places, side="right")
        begins = np.diff(word, prepend=-1) > 0
        return ids, begins & ~self._continues[ids.flat_values.numpy()]


def _jieba() -> Callable[[str], list[str]]:
    try:
        import jieba
    except ImportError:
        raise UserError(
            "--segmenter=jieba: jieba is not installed, expected `pip install bert-keras[chinese]`"
        ) from None
    jieba.setLogLevel(logging.WARNING)
    # Loaded before several threads ask for it.
    jieba.initialize()
    return jieba.lcut
