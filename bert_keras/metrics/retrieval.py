"""How well vectors find their counterparts among many: recall, reciprocal rank, neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.integer]

# Rows of a block of scores: 512 × 100,000 candidates are 200 MB.
_QUERIES = 512


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def ranking_metrics(
    queries: Vectors, candidates: Vectors, own: Ints, texts: Ints, scale: float
) -> dict[str, float]:
    """`recall@1`, `mrr` and `loss` of finding each query's own candidate among all of them.

    Candidates are ranked by cosine. Every candidate whose text is that of the query's own one
    is right; among equal cosines the wrong ones come first, so a model that maps all texts to
    one vector finds nothing.

    Args:
        queries: `[N, H]`.
        candidates: `[M, H]`.
        own: the row in `candidates` that belongs to each query, `[N]`.
        texts: a number for the text of each candidate, equal for equal texts, `[M]`.
        scale: of the cosines in the loss, the cross-entropy of the own candidate.
    """
    queries, candidates = unit_rows(queries), unit_rows(candidates)
    ranks, losses = [], []
    for start in range(0, len(queries), _QUERIES):
        rows = own[start : start + _QUERIES]
        cosines = queries[start : start + _QUERIES] @ candidates.T
        right = texts[None, :] == texts[rows][:, None]
        best = np.where(right, cosines, -np.inf).max(axis=1, keepdims=True)
        ranks.append(1 + (~right & (cosines >= best)).sum(axis=1))
        logits = cosines.astype(np.float64) * scale
        sums = np.log(np.exp(logits - scale).sum(axis=1)) + scale
        losses.append(sums - logits[np.arange(len(rows)), rows])
    rank, loss = np.concatenate(ranks), np.concatenate(losses)
    return {
        "loss": float(loss.mean()),
        "recall@1": float((rank == 1).mean()),
        "mrr": float((1 / rank).mean()),
    }


class NearestRows:
    """The rows most like each query, by cosine, of a matrix that is given block by block.

    Exact. Only the best are kept, so the matrix need not fit into memory.

    Args:
        queries: `[Q, H]`.
        count: K, how many rows to find for each.
    """

    def __init__(self, queries: Vectors, count: int) -> None:
        self._queries = unit_rows(queries)
        self._count = count
        self._seen = 0
        self.scores: Vectors = np.zeros((len(queries), 0), np.float32)
        self.rows: npt.NDArray[np.int64] = np.zeros((len(queries), 0), np.int64)

    def add(self, block: Vectors) -> None:
        """Looks at the next rows of the matrix, `[n, H]`.

        Afterwards `scores` and `rows`, `[Q, min(K, rows seen)]`, are the cosines of the best
        rows so far, best first, and their numbers from 0.
        """
        block = unit_rows(block)
        numbers = np.arange(self._seen, self._seen + len(block))
        self._seen += len(block)
        parts = [
            self._merge(slice(start, start + _QUERIES), block, numbers)
            for start in range(0, len(self._queries), _QUERIES)
        ]
        if parts:
            self.scores, self.rows = (np.concatenate(part) for part in zip(*parts, strict=True))

    def _merge(
        self, part: slice, block: Vectors, numbers: npt.NDArray[np.int64]
    ) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """The best of what was kept for some queries and of a block."""
        found = self._queries[part] @ block.T
        rows = np.broadcast_to(numbers, found.shape)
        scores = np.concatenate([self.scores[part], found], axis=1)
        rows = np.concatenate([self.rows[part], rows], axis=1)
        if scores.shape[1] > self._count:
            best = np.argpartition(-scores, self._count - 1, axis=1)[:, : self._count]
            scores, rows = (np.take_along_axis(x, best, axis=1) for x in (scores, rows))
        order = np.lexsort((rows, -scores), axis=1)
        return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
