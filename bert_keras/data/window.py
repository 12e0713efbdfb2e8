"""A stretch of the tokenized corpus in memory."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Window:
    """Tokens with the bounds of their sentences, sections and documents.

    A section is the part of one document that lies in one block of the store: a short document
    whole, a long one in several sections. No sentence and no section is empty.

    Attributes:
        tokens: uint16 or uint32 [tokens], ids without special tokens.
        sentences: int64 [sentences + 1], the token at which each sentence begins, and the end.
        sections: int64 [sections + 1], the sentence at which each section begins, and the end.
        documents: int64 [sections], the number of the document that each section is part of,
            counted over the whole store.
        words: bool [tokens], whether a token begins a word; None without a segmenter.
    """

    tokens: np.ndarray
    sentences: np.ndarray
    sections: np.ndarray
    documents: np.ndarray
    words: np.ndarray | None
