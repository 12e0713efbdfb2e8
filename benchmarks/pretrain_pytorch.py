"""Pretrains with PyTorch transformers by pretrain_recipe.py: one of the sides to compare with.

Faster than a plain loop over BertForMaskedLM would be: the head and the vocabulary's product run
on the masked tokens alone, attention is the fused one without a mask (no row has padding), AdamW
is the fused one, and the whole loss is compiled. Needs `torch` and `transformers==4.57.*`, and a
C++ compiler for `--compile`.

    python benchmarks/pretrain_pytorch.py --rows=rows --results=pytorch.jsonl
"""

from __future__ import annotations

import argparse
import copy
import logging
from typing import Any

import numpy as np
import pretrain_recipe
import torch
import transformers


class MaskedLM(torch.nn.Module):
    """BertForMaskedLM that predicts the masked tokens alone."""

    def __init__(self, recipe: pretrain_recipe.Recipe) -> None:
        super().__init__()
        config = transformers.BertConfig(
            vocab_size=recipe.vocabulary,
            hidden_size=recipe.hidden,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.intermediate,
            hidden_dropout_prob=recipe.dropout,
            attention_probs_dropout_prob=recipe.dropout,
            initializer_range=recipe.initializer_range,
            attn_implementation="sdpa",
        )
        self.model = transformers.BertForMaskedLM(config)

    def forward(
        self, token_ids: torch.Tensor, indices: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss, and the number of correct predictions.

        Shapes: token_ids [batch, length]; indices [n], the masked tokens among all tokens of
        the batch; labels [n].
        """
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.model.bert(token_ids)[0].flatten(0, 1)
            logits = self.model.cls(hidden[indices])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        return loss, (logits.detach().argmax(-1) == labels).sum()


def tensors(batch: pretrain_recipe.Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Arguments of `MaskedLM` for a batch of rows."""
    length = batch["token_ids"].shape[1]
    used = batch["mask_weights"] > 0
    starts = length * np.arange(len(used))[:, None]
    indices = (batch["mask_positions"] + starts)[used]
    return (
        torch.from_numpy(batch["token_ids"].astype(np.int64)),
        torch.from_numpy(indices.astype(np.int64)),
        torch.from_numpy(batch["mask_ids"][used].astype(np.int64)),
    )


class PyTorch:
    """The model and its optimizer, as the loop drives them."""

    name = "PyTorch transformers"

    def __init__(self, recipe: pretrain_recipe.Recipe, compiled: bool) -> None:
        self._recipe = recipe
        self._module = MaskedLM(recipe)
        self._loss = torch.compile(self._module, dynamic=False) if compiled else self._module
        groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
        for name, parameter in self._module.named_parameters():
            groups[not (name.endswith("bias") or "LayerNorm" in name)].append(parameter)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": groups[True], "weight_decay": recipe.weight_decay},
                {"params": groups[False], "weight_decay": 0.0},
            ],
            betas=(recipe.beta_1, recipe.beta_2),
            eps=recipe.epsilon,
            fused=True,
        )

    def step(self, batch: pretrain_recipe.Batch, learning_rate: float) -> None:
        self._module.train()
        loss, _ = self._loss(*tensors(batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._module.parameters(), self._recipe.clip_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    @torch.no_grad()
    def sums(self, batch: pretrain_recipe.Batch) -> tuple[float, float, float]:
        self._module.eval()
        arguments = tensors(batch)
        loss, correct = self._module(*arguments)
        count = len(arguments[-1])
        return float(loss) * count, float(count), float(correct)

    def state(self) -> Any:
        return copy.deepcopy((self._module.state_dict(), self._optimizer.state_dict()))

    def restore(self, state: Any) -> None:
        self._module.load_state_dict(state[0])
        self._optimizer.load_state_dict(state[1])


def main() -> None:
    """Runs this side."""
    parser = pretrain_recipe.parser(__doc__)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    torch.manual_seed(arguments.seed)
    recipe = pretrain_recipe.recipe_of(arguments)
    pretrain_recipe.race(PyTorch(recipe, arguments.compile), arguments, recipe)


if __name__ == "__main__":
    main()
