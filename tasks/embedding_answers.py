"""Answers and metrics of a sentence embedder, from the vectors of examples."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from bert_keras.metrics.correlation import pearson, spearman
from bert_keras.metrics.retrieval import ranking_metrics, unit_rows
from bert_keras.tasks.embedding_losses import SCALE
from bert_keras.tasks.fine_tuned import Prepared

Vectors = npt.NDArray[np.float32]


def metric_names(scored: bool) -> tuple[str, ...]:
    """What `metrics_of` gives apart from the loss, of examples with scores or without."""
    return ("spearman", "pearson") if scored else ("mrr", "recall@1")


@dataclasses.dataclass(frozen=True)
class Embedding:
    """The answer for one text: its vector."""

    embedding: list[float]


@dataclasses.dataclass(frozen=True)
class Similarity:
    """The answer for a pair or a triplet: the cosine of its first two texts.

    `expected` is a scored pair's score, from 0 to 1.
    """

    similarity: float
    expected: float | None = None


def cosines(vectors: Vectors) -> npt.NDArray[np.float32]:
    """Cosines of the first two vectors of each example, `[N]` of `[N, group, hidden]`."""
    unit = unit_rows(vectors[:, :2])
    return np.asarray((unit[:, 0] * unit[:, 1]).sum(axis=-1))


def answers_of(prepared: Prepared, vectors: Vectors) -> list[Any]:
    """An `Embedding` for each single text, a `Similarity` for each pair or triplet."""
    if vectors.shape[1] == 1:
        # The shortest decimals that give the float32 again.
        return [Embedding([float(str(x)) for x in vector]) for vector in vectors[:, 0]]
    found = cosines(vectors).tolist()
    if prepared.labels is None:
        return [Similarity(cosine) for cosine in found]
    pairs = zip(found, prepared.labels.tolist(), strict=True)
    return [Similarity(cosine, score) for cosine, score in pairs]


def row_of(answer: Embedding | Similarity) -> dict[str, Any]:
    """An answer as JSON, without what was not there."""
    return {k: value for k, value in dataclasses.asdict(answer).items() if value is not None}


def metrics_of(prepared: Prepared, vectors: Vectors) -> dict[str, float]:
    """The loss and the metrics of vectors `[N, group, hidden]`.

    With scores: the mean squared difference of cosine and score, `pearson` and `spearman`.
    Without: see `ranking_metrics`; each anchor is to find its positive among the positives and
    negatives of all examples.
    """
    if prepared.labels is not None:
        found, scores = cosines(vectors), prepared.labels
        loss = float(np.mean((found - scores) ** 2))
        return {
            "loss": loss,
            "spearman": spearman(found, scores),
            "pearson": pearson(found, scores),
        }
    others = [text for column in prepared.examples.columns[1:] for text in column]
    _, texts = np.unique(others, return_inverse=True)
    candidates = np.concatenate(list(vectors[:, 1:].transpose(1, 0, 2)))
    own = np.arange(len(vectors))
    return ranking_metrics(vectors[:, 0], candidates, own, texts.reshape(-1), SCALE)
