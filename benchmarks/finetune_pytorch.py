"""Fine-tunes with PyTorch transformers by the recipes of recipes.py: the side to compare with.

Needs `torch` and `transformers==4.57.*`, BERT_KERAS_ASSETS, and the tokens that finetune_ours.py
leaves below --results for the same task. For each seed the outputs of the finished model are
left beside them; seeds that have them are skipped.

    python benchmarks/finetune_pytorch.py --task=stsb --results=RESULTS --threads=1
"""

from __future__ import annotations

import math
import os
import pathlib
import runpy
import time
from typing import Any

import numpy as np
import recipes
import torch
import transformers

DATA = pathlib.Path(__file__).resolve().parents[1] / "bert_keras" / "data"
# Loaded by themselves: the package around them would import TensorFlow.
epoch_order = runpy.run_path(str(DATA / "batches.py"))["epoch_order"]
EncodedExamples = runpy.run_path(str(DATA / "encoded.py"))["EncodedExamples"]

CLASSES = {
    "classification": transformers.AutoModelForSequenceClassification,
    "regression": transformers.AutoModelForSequenceClassification,
    "tagging": transformers.AutoModelForTokenClassification,
    "question_answering": transformers.AutoModelForQuestionAnswering,
    "multiple_choice": transformers.AutoModelForMultipleChoice,
}


class Features:
    """The rows of a split, and batches of them as transformers takes them."""

    def __init__(self, file: pathlib.Path, task: str) -> None:
        stored = dict(np.load(file))
        names = ("token_ids", "splits", "first_lengths")
        self.rows = EncodedExamples(**{name: stored[name] for name in names})
        self.lengths, self.labels = stored["lengths"], stored["labels"]
        self.num_labels = int(stored["num_labels"])
        self.task, self._groups = task, stored.get("groups")

    def inputs(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Features of rows, `[rows, length]`."""
        batch = self.rows.batch(rows)
        return {
            "input_ids": torch.from_numpy(batch["token_ids"]).long(),
            "token_type_ids": torch.from_numpy(batch["segment_ids"]).long(),
            "attention_mask": torch.from_numpy(batch["padding_mask"]).long(),
        }

    def batch(self, examples: np.ndarray) -> dict[str, torch.Tensor]:
        """Features and labels of examples."""
        if self._groups is None:
            inputs = self.inputs(examples)
        else:
            spans = [np.arange(*self._groups[[one, one + 1]]) for one in examples]
            flat = self.inputs(np.concatenate(spans))
            inputs = {name: x.view(len(examples), -1, x.shape[-1]) for name, x in flat.items()}
        return {**inputs, **self._targets(examples, inputs["attention_mask"].numpy() == 1)}

    def _targets(self, examples: np.ndarray, real: np.ndarray) -> dict[str, torch.Tensor]:
        if self.task == "tagging":
            labels = np.full(real.shape, -100)
            own = [self.labels[slice(*self.rows.splits[[one, one + 1]])] for one in examples]
            labels[real] = np.concatenate(own)
            labels[labels < 0] = -100
            return {"labels": torch.from_numpy(labels)}
        labels = torch.from_numpy(self.labels[examples])
        if self.task == "question_answering":
            starts, ends = labels.long().unbind(-1)
            return {"start_positions": starts, "end_positions": ends}
        return {"labels": labels.float() if self.task == "regression" else labels.long()}


def create_model(init: pathlib.Path, train: Features, seed: int) -> transformers.PreTrainedModel:
    """The weights of a directory with a head of random ones."""
    options: dict[str, Any] = {}
    if train.task in ("classification", "tagging"):
        options = {"num_labels": train.num_labels}
    elif train.task == "regression":
        options = {"num_labels": 1, "problem_type": "regression"}
    torch.manual_seed(seed)
    return CLASSES[train.task].from_pretrained(init, **options)


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
    model: transformers.PreTrainedModel, examples: Features, recipe: recipes.Recipe, seed: int
) -> None:
    """All epochs of a recipe."""
    optimizer = create_optimizer(model, recipe.learning_rate)
    count, size = len(examples.lengths), recipe.batch_size
    steps = recipe.epochs * -(-count // size)
    warmup = math.ceil(0.1 * steps)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    model.train()
    for epoch in range(recipe.epochs):
        order = epoch_order(count, examples.lengths, size, seed, epoch)
        for start in range(0, count, size):
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(**examples.batch(order[start : start + size])).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


@torch.no_grad()
def outputs_of(model: transformers.PreTrainedModel, examples: Features) -> np.ndarray:
    """The logits of each row, or of each token of every row in turn; in float32, so that none
    are made equal by rounding."""
    model.eval()
    lengths = examples.rows.lengths
    found: dict[int, np.ndarray] = {}
    order = np.argsort(lengths)
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        inputs = examples.inputs(rows)
        if examples.task == "multiple_choice":
            inputs = {name: values[:, None] for name, values in inputs.items()}
        result = model(**inputs)
        if examples.task == "question_answering":
            logits = torch.stack([result.start_logits, result.end_logits], -1)
        else:
            logits = result.logits
        if examples.task in ("multiple_choice", "regression"):
            logits = logits[:, 0]
        for row, values in zip(rows.tolist(), logits.numpy(), strict=True):
            found[row] = values[: lengths[row]] if values.ndim == 2 else values
    merge = np.concatenate if examples.task in recipes.PER_TOKEN else np.stack
    return merge([found[row] for row in range(len(order))])


def run(recipe: recipes.Recipe, folder: pathlib.Path, seed: int) -> dict[str, Any]:
    """One fine-tuning: the outputs of each split that is scored, and the time of training."""
    files = {file.stem.removeprefix("features-"): file for file in folder.glob("features-*.npz")}
    if "train" not in files:
        raise SystemExit(f"{folder} has no features: run finetune_ours.py first")
    init = folder / "init"
    if recipe.vocabulary is None:
        init = pathlib.Path(os.environ["BERT_KERAS_ASSETS"]) / "weights" / recipe.init
    examples = Features(files.pop("train"), recipe.task)
    model = create_model(init, examples, seed)
    wall, cpu = time.perf_counter(), time.process_time()
    train(model, examples, recipe, seed)
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    scored = {split: Features(file, recipe.task) for split, file in files.items()}
    return {**seconds, **{split: outputs_of(model, part) for split, part in scored.items()}}


def main() -> None:
    """Runs the seeds of one task that the results do not have yet."""
    chosen = recipes.arguments(__doc__)
    torch.set_num_threads(chosen.threads)
    transformers.logging.set_verbosity_error()
    recipe, folder = recipes.RECIPES[chosen.task], chosen.results / chosen.task
    for seed in recipes.missing_seeds(chosen, "pytorch"):
        found = run(recipe, folder, seed)
        recipes.save(recipes.run_file(chosen.results, chosen.task, "pytorch", seed), found)
        print(f"{chosen.task}, seed {seed}: {found['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
