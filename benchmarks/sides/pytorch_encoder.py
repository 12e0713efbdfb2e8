"""PyTorch: transformers' BertModel forward, and a training step of its classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sides.encoder_work import full_batch, gigaflops
from benchmarks.sides.protocol import Side
from benchmarks.sides.pytorch import compiled, create_optimizer, load, torch, transformers, update


class Forward(Side):
    """BertModel with weights in bfloat16; no mask, as there is no padding."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        model = load(transformers.BertModel, work, dtype=torch.bfloat16).eval()
        self._ids = torch.from_numpy(full_batch(work)[0]).long()
        self._model = compiled(model, work, dynamic=False)
        how = "torch.compile" if work.get("compile") else "eager"
        self.settings = f"weights in bfloat16, SDPA, inference_mode, {how}"

    @torch.inference_mode()
    def _pooled(self) -> torch.Tensor:
        return self._model(self._ids).pooler_output

    def evidence(self) -> list[float]:
        return self._pooled()[:, :8].float().ravel().tolist()

    def run(self, case: str) -> float:
        self._pooled()
        return gigaflops(self.work)


class Training(Side):
    """BertForSequenceClassification: forward, backward, clip, fused AdamW."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        autocast = work["precision"] == "autocast"
        dtype = torch.float32 if autocast else torch.bfloat16
        self._model = load(transformers.BertForSequenceClassification, work, dtype=dtype)
        self._optimizer = create_optimizer(self._model)
        ids, labels = full_batch(work)
        self._batch = torch.from_numpy(ids).long(), torch.from_numpy(labels).long()
        self._autocast = torch.autocast("cpu", torch.bfloat16, enabled=autocast)
        self._loss = compiled(self._compute_loss, work, dynamic=False)
        how = "torch.compile" if work.get("compile") else "eager"
        kind = "bfloat16 autocast" if autocast else "weights and optimizer in bfloat16"
        self.settings = f"{kind}, SDPA, fused AdamW, clipped to norm 1, {how}"

    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        with self._autocast:
            return self._model(ids).logits

    def _compute_loss(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self._logits(ids).float(), labels)

    @torch.no_grad()
    def evidence(self) -> list[float]:
        self._model.eval()
        logits = self._logits(self._batch[0]).float().ravel().tolist()
        self._model.train()
        return logits

    def run(self, case: str) -> float:
        update(self._model, self._optimizer, self._loss(*self._batch))
        return gigaflops(self.work)
