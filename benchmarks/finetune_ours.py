"""Fine-tunes with bert_keras by the recipes of recipes.py: our side of the comparison.

The loop of `bert-keras finetune`, without its choice of the best epoch. Leaves below --results,
in a folder for each task, the tokens that the other side trains on too, and for each seed the
outputs of the finished model; seeds that have them are skipped. Needs BERT_KERAS_ASSETS.

    python benchmarks/finetune_ours.py --task=stsb --results=RESULTS --threads=1
"""

from __future__ import annotations

import os
import pathlib
import tempfile
import time
from typing import Any

import recipes
import tensorflow as tf
from finetune_features import Setup, outputs_of

from bert_keras.training import fine_tuning
from bert_keras.training.strategies import make_strategy


def run(setup: Setup, seed: int) -> dict[str, Any]:
    """One fine-tuning: the outputs of each split that is scored, and the time of training."""
    recipe = setup.recipe
    strategy = make_strategy("one_device")
    with strategy.scope():
        model = setup.model(seed)
    settings = fine_tuning.FineTuningSettings(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=seed,
    )
    examples = model.training_examples(setup.prepared["train"])
    with tempfile.TemporaryDirectory() as folder:
        output_dir = pathlib.Path(folder)
        tuner = fine_tuning.FineTuner(model, examples, None, output_dir, settings, strategy)
        wall, cpu = time.perf_counter(), time.process_time()
        tuner.run()
        seconds = {
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
        }
    outputs = {
        split: outputs_of(model, prepared, recipe.task)
        for split, prepared in setup.prepared.items()
        if split != "train"
    }
    return {**seconds, **outputs}


def main() -> None:
    """Runs the seeds of one task that the results do not have yet."""
    chosen = recipes.arguments(__doc__)
    tf.config.threading.set_intra_op_parallelism_threads(chosen.threads)
    folder = chosen.results / chosen.task
    folder.mkdir(parents=True, exist_ok=True)
    setup = Setup(chosen.task, pathlib.Path(os.environ["BERT_KERAS_ASSETS"]), folder)
    setup.write()
    for seed in recipes.missing_seeds(chosen, "ours"):
        found = run(setup, seed)
        recipes.save(recipes.run_file(chosen.results, chosen.task, "ours", seed), found)
        print(f"{chosen.task}, seed {seed}: {found['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
