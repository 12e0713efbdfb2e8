"""Fine-tunes with PyTorch transformers by the recipes of recipes.py: the side to compare with.

Needs `torch`, `transformers==4.57.*` and `scikit-learn`, and BERT_KERAS_ASSETS. Results are
appended as JSON lines; runs that the file already has are skipped.

    python benchmarks/finetune_pytorch.py --task=mrpc --results=pytorch.jsonl
"""

from __future__ import annotations

import argparse
import math
import os
import pathlib
import runpy
import time
from collections.abc import Iterator

import numpy as np
import recipes
import sklearn.metrics
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Loaded by itself: the package around it would import TensorFlow.
epoch_order = runpy.run_path(str(ROOT / "bert_keras" / "data" / "batches.py"))["epoch_order"]


class Encoded:
    """A tokenized split, and its padded batches."""

    def __init__(
        self,
        tokenizer: transformers.PreTrainedTokenizerBase,
        recipe: recipes.Recipe,
        data: pathlib.Path,
        split: str,
    ) -> None:
        texts, self.labels = recipe.read(data, split)
        self._tokenizer = tokenizer
        self._features = tokenizer(*texts, truncation=True, max_length=recipe.max_length)
        self.lengths = np.array([len(ids) for ids in self._features["input_ids"]])

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, transformers.BatchEncoding]]:
        """Row numbers and features with labels, padded to the longest of each batch."""
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            chosen = {k: [v[row] for row in rows] for k, v in self._features.items()}
            batch = self._tokenizer.pad(chosen, return_tensors="pt")
            batch["labels"] = torch.tensor([self.labels[row] for row in rows])
            yield rows, batch


def create_optimizer(model: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """AdamW with BERT's exclusions from decay."""
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


def train(
    model: transformers.PreTrainedModel, examples: Encoded, recipe: recipes.Recipe, seed: int
) -> None:
    """All epochs of a recipe."""
    optimizer = create_optimizer(model, recipe.learning_rate)
    steps = recipe.epochs * -(-len(examples.labels) // recipe.batch_size)
    warmup = math.ceil(0.1 * steps)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    model.train()
    for epoch in range(recipe.epochs):
        order = epoch_order(len(examples.labels), examples.lengths, recipe.batch_size, seed, epoch)
        for _, batch in examples.batches(order, recipe.batch_size):
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


@torch.no_grad()
def evaluate(model: transformers.PreTrainedModel, examples: Encoded) -> dict[str, float]:
    """Accuracy and the F1 of class 1."""
    model.eval()
    predicted = np.zeros(len(examples.labels), np.int64)
    for rows, batch in examples.batches(np.argsort(examples.lengths), 64):
        with torch.autocast("cpu", torch.bfloat16):
            predicted[rows] = model(**batch).logits.argmax(-1).numpy()
    return {
        "accuracy": float(sklearn.metrics.accuracy_score(examples.labels, predicted)),
        "f1": float(sklearn.metrics.f1_score(examples.labels, predicted)),
    }


def run(task: str, seed: int, assets: pathlib.Path) -> dict[str, object]:
    """One fine-tuning from all-MiniLM-L6-v2, as a row of results."""
    recipe = recipes.RECIPES[task]
    init = assets / "weights" / "all-MiniLM-L6-v2"
    tokenizer = transformers.BertTokenizerFast.from_pretrained(init)
    splits = {
        split: Encoded(tokenizer, recipe, assets / "data", split)
        for split in ("train", *recipe.scored)
    }
    torch.manual_seed(seed)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(init, num_labels=2)
    wall, cpu = time.perf_counter(), time.process_time()
    train(model, splits["train"], recipe, seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seen = recipe.epochs * len(splits["train"].labels)
    return {
        "side": "pytorch",
        "task": task,
        "seed": seed,
        "learning_rate": recipe.learning_rate,
        **recipes.scores({split: evaluate(model, splits[split]) for split in recipe.scored}),
        "examples_per_second": seen / wall,
        "examples_per_cpu_second": seen / cpu,
        "seconds": wall,
    }


def main() -> None:
    """Runs the seeds of one task that the results do not have yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(recipes.RECIPES), required=True)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # The Python loop that builds a batch must not fork while PyTorch's threads run.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    transformers.logging.set_verbosity_error()
    for seed in recipes.RECIPES[arguments.task].seeds:
        if (arguments.task, seed) not in recipes.finished(arguments.results):
            assets = pathlib.Path(os.environ["BERT_KERAS_ASSETS"])
            recipes.append(arguments.results, run(arguments.task, seed, assets))


if __name__ == "__main__":
    main()
