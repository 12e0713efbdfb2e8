"""Fine-tunes with bert_keras by the recipes of recipes.py: our side of the comparison.

The same loop as `bert-keras finetune` runs, in Python, because the comparison is of the last
epoch, where the command keeps the best. Results are appended as JSON lines; runs that the file
already has are skipped. Needs BERT_KERAS_ASSETS.

    python benchmarks/finetune_ours.py --task=mrpc --results=ours.jsonl
"""

from __future__ import annotations

import argparse
import os
import pathlib
import tempfile
import time

import numpy as np
import recipes
import tensorflow as tf

import bert_keras as bk
from bert_keras.training import fine_tuning
from bert_keras.training.strategies import make_strategy


def run(task: str, seed: int, assets: pathlib.Path) -> dict[str, object]:
    """One fine-tuning from all-MiniLM-L6-v2, as a row of results."""
    recipe = recipes.RECIPES[task]
    settings = fine_tuning.FineTuningSettings(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=seed,
    )
    strategy = make_strategy("one_device")
    with strategy.scope():
        classifier = bk.tasks.TextClassifier.from_pretrained(
            assets / "weights" / "all-MiniLM-L6-v2",
            labels=[0, 1],
            max_length=recipe.max_length,
            seed=seed,
            dtype="mixed_bfloat16",
        )

    def encoded(split: str) -> fine_tuning.LabelledExamples:
        texts, labels = recipe.read(assets / "data", split)
        return fine_tuning.LabelledExamples(classifier.encode(*texts), np.array(labels, np.int32))

    train, scored = encoded("train"), {split: encoded(split) for split in recipe.scored}
    clocks = {"wall": 0.0, "cpu": 0.0}

    def evaluate() -> dict[str, float]:
        """Scores of every split; their time does not count as training."""
        wall, cpu = time.perf_counter(), time.process_time()
        by_split = {
            split: classifier.metrics_of(classifier.raw_outputs(part.inputs), part.labels)
            for split, part in scored.items()
        }
        metrics = {**by_split["dev"], **recipes.scores(by_split)}
        clocks["wall"] -= time.perf_counter() - wall
        clocks["cpu"] -= time.process_time() - cpu
        return metrics

    with tempfile.TemporaryDirectory() as folder:
        tuner = fine_tuning.FineTuner(
            classifier, train, evaluate, pathlib.Path(folder), settings, strategy
        )
        wall, cpu = time.perf_counter(), time.process_time()
        last = tuner.run().history[-1]
        clocks["wall"] += time.perf_counter() - wall
        clocks["cpu"] += time.process_time() - cpu
    names = [f"{split}_{metric}" for split in recipe.scored for metric in ("accuracy", "f1")]
    seen = recipe.epochs * len(train.inputs)
    return {
        "side": "bert_keras",
        "task": task,
        "seed": seed,
        "learning_rate": recipe.learning_rate,
        **{name: last[f"dev_{name}"] for name in names},
        "examples_per_second": seen / clocks["wall"],
        "examples_per_cpu_second": seen / clocks["cpu"],
        "seconds": clocks["wall"],
    }


def main() -> None:
    """Runs the seeds of one task that the results do not have yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(recipes.RECIPES), required=True)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    assets = pathlib.Path(os.environ["BERT_KERAS_ASSETS"])
    for seed in recipes.RECIPES[arguments.task].seeds:
        if (arguments.task, seed) not in recipes.finished(arguments.results):
            recipes.append(arguments.results, run(arguments.task, seed, assets))


if __name__ == "__main__":
    main()
