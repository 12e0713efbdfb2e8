"""PyTorch: an epoch of fine-tuning with transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.sides.protocol import Side
from benchmarks.sides.pytorch import compiled, create_optimizer, load, torch, transformers, update
from benchmarks.sides.sentences import for_training, grouped_by_length, padded


class Finetuning(Side):
    """BertForSequenceClassification on length-grouped batches, tokenized beforehand."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._model = load(transformers.BertForSequenceClassification, work)
        self._optimizer = create_optimizer(self._model)
        tokenizer = transformers.BertTokenizerFast.from_pretrained(work["weights"])
        texts, self._labels = for_training(work)
        encoded = tokenizer(texts, truncation=True, max_length=work["max_length"])
        self._ids = encoded["input_ids"]
        self._batches = list(grouped_by_length([len(ids) for ids in self._ids], work["batch"]))
        self._loss = compiled(self._compute_loss, work, dynamic=True)
        how = "torch.compile with dynamic shapes" if work.get("compile") else "eager"
        self.settings = (
            f"bfloat16 autocast, SDPA, length-grouped batches of {work['batch']}, fused AdamW, "
            f"clipped to norm 1, {how}"
        )

    def _compute_loss(
        self, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = self._model(ids, attention_mask=mask).logits
        return torch.nn.functional.cross_entropy(logits.float(), labels)

    @torch.no_grad()
    def evidence(self) -> list[float]:
        self._model.eval()
        ids, mask = map(torch.from_numpy, padded(self._ids, np.arange(32)))
        with torch.autocast("cpu", torch.bfloat16):
            logits = self._model(ids, attention_mask=mask).logits
        self._model.train()
        return logits.float().ravel().tolist()

    def run(self, case: str) -> float:
        for rows in self._batches:
            ids, mask = map(torch.from_numpy, padded(self._ids, rows))
            labels = torch.from_numpy(self._labels[rows]).long()
            update(self._model, self._optimizer, self._loss(ids, mask, labels))
        return len(self._labels)
