"""Semantic search: the texts of a file that are most like a query, by their vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bert_keras.metrics.retrieval import NearestRows
from bert_keras.tasks.sentence_embedder import SentenceEmbedder

# Texts embedded at a time: enough to sort by length, and their scores stay small.
_BLOCK = 8192


@dataclasses.dataclass(frozen=True)
class Match:
    """A text that was found: its number in the corpus, from 0, and the cosine with the query."""

    index: int
    text: str
    score: float


def semantic_search(
    embedder: SentenceEmbedder, queries: Sequence[str], corpus: Sequence[str], top_k: int = 5
) -> list[list[Match]]:
    """The `top_k` texts of a corpus most like each query, best first; exact.

    A model with prompts puts those of queries and of documents in front of the texts.

    The corpus is embedded block by block and its vectors are not kept: beyond the texts
    themselves memory does not grow with it.
    """
    nearest = NearestRows(embedder.encode_query(queries), top_k)
    for start in range(0, len(corpus), _BLOCK):
        nearest.add(embedder.encode_document(corpus[start : start + _BLOCK]))
    return [
        [Match(row, corpus[row], score) for row, score in zip(rows, scores, strict=True)]
        for rows, scores in zip(nearest.rows.tolist(), nearest.scores.tolist(), strict=True)
    ]
