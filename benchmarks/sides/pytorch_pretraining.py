"""PyTorch: a pretraining step with transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.sides.books import Batches, Rows, tokens
from benchmarks.sides.protocol import Side
from benchmarks.sides.pytorch import compiled, create_optimizer, load, torch, transformers, update

_cross_entropy = torch.nn.functional.cross_entropy


class Pretraining(Side):
    """BertForPreTraining under autocast; no mask, as the rows are full.

    With `gathered` its head runs on the masked positions alone; as it comes, on every position.
    """

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._batches = Batches(work)
        self._model = load(transformers.BertForPreTraining, work).train()
        self._optimizer = create_optimizer(self._model)
        forward = self._gathered if work.get("gathered") else self._as_it_comes
        self._plain, self._losses = forward, compiled(forward, work, dynamic=False)
        how = "torch.compile" if work.get("compile") else "eager"
        where = "the masked positions" if work.get("gathered") else "every position"
        self.settings = (
            f"bfloat16 autocast, SDPA, masked words and next sentences, head on {where}, fused "
            f"AdamW, clipped to norm 1, {how}"
        )

    def _as_it_comes(
        self,
        ids: torch.Tensor,
        segments: torch.Tensor,
        places: torch.Tensor,
        labels: torch.Tensor,
        next_sentence: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both mean losses; `places` are the masked tokens among all of the batch."""
        with torch.autocast("cpu", torch.bfloat16):
            output = self._model(ids, token_type_ids=segments)
        wanted = torch.full((ids.numel(),), -100).index_put((places,), labels)
        words = output.prediction_logits.flatten(0, 1).float()
        sentences = output.seq_relationship_logits.float()
        return _cross_entropy(words, wanted), _cross_entropy(sentences, next_sentence)

    def _gathered(
        self,
        ids: torch.Tensor,
        segments: torch.Tensor,
        places: torch.Tensor,
        labels: torch.Tensor,
        next_sentence: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            output = self._model.bert(ids, token_type_ids=segments)
            hidden = output.last_hidden_state.flatten(0, 1)[places]
            words, sentences = self._model.cls(hidden, output.pooler_output)
        return (
            _cross_entropy(words.float(), labels),
            _cross_entropy(sentences.float(), next_sentence),
        )

    @torch.no_grad()
    def evidence(self) -> list[float]:
        self._model.eval()
        losses = self._plain(*_tensors(self._batches.first()))
        self._model.train()
        return [float(loss) for loss in losses]

    def run(self, case: str) -> float:
        batch = self._batches.next()
        update(self._model, self._optimizer, sum(self._losses(*_tensors(batch))))
        return tokens(batch)


def _tensors(batch: Rows) -> tuple[torch.Tensor, ...]:
    """Arguments of both forms of the losses."""
    used = batch["mask_weights"] > 0
    starts = batch["token_ids"].shape[1] * np.arange(len(used))[:, None]
    arrays = (
        batch["token_ids"],
        batch["segment_ids"],
        (batch["mask_positions"] + starts)[used],
        batch["mask_ids"][used],
        batch["next_sentence_labels"],
    )
    return tuple(torch.from_numpy(array.astype(np.int64)) for array in arrays)
