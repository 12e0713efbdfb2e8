"""What the sides of PyTorch share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers

from benchmarks.sides.protocol import threads

torch.set_num_threads(threads())
logging.getLogger("transformers").setLevel(logging.ERROR)


def load(kind: Any, work: Mapping[str, Any], **options: Any) -> Any:
    """A transformers model of the work's weights, with attention by SDPA."""
    torch.manual_seed(0)
    return kind.from_pretrained(work["weights"], attn_implementation="sdpa", **options)


def compiled(function: Callable[..., Any], work: Mapping[str, Any], **options: Any) -> Any:
    """`torch.compile` where the work's options ask for it."""
    return torch.compile(function, **options) if work.get("compile") else function


def create_optimizer(model: torch.nn.Module, learning_rate: float = 1e-5) -> torch.optim.AdamW:
    """Fused AdamW with BERT's exclusions from decay."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[not (name.endswith("bias") or "LayerNorm" in name)].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": 0.01},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=learning_rate,
        betas=(0.9, 0.999),
        eps=1e-6,
        fused=True,
    )


def update(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Gradients, clipped to norm 1, applied."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


__all__ = ["compiled", "create_optimizer", "load", "torch", "transformers", "update"]
