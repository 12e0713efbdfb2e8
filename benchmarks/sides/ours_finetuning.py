"""Ours: an epoch of `bert-keras finetune`."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip

import numpy as np

import bert_keras as bk
from benchmarks.sides.protocol import Side
from benchmarks.sides.sentences import all_for_training, for_training
from bert_keras.data.training_examples import LabelledExamples
from bert_keras.training.fine_tuning import FineTuner, FineTuningSettings, Progress
from bert_keras.training.strategies import make_strategy

# As many updates as three epochs of all of SST-2 have: enough to compile their shapes.
_EPOCHS = 100


class Finetuning(Side):
    """The loop of the command itself, without checkpoints and evaluation.

    `batching` holds those settings of FineTuningSettings that choose the batches.
    """

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        strategy = make_strategy("one_device")
        with strategy.scope():
            task = bk.tasks.TextClassifier.from_pretrained(
                work["weights"], max_length=work["max_length"], dtype="mixed_bfloat16"
            )
        texts, labels = for_training(work)
        encoded = task.encode(texts)
        # Beyond the sample's own tokens, those of all of SST-2: the words that a run trains.
        others = task.encode(all_for_training(work)).token_ids
        words = np.concatenate([encoded.token_ids, others])
        examples = LabelledExamples(dataclasses.replace(encoded, token_ids=words), labels)
        self._logits = task.raw_outputs(task.encode(texts[:32]))
        settings = FineTuningSettings(epochs=_EPOCHS, learning_rate=1e-5, **work["batching"])
        self._folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self._folder.name)
        self._tuner = FineTuner(task, examples, None, folder, settings, strategy, lambda _: None)
        updates = self._tuner.batches.steps(0)
        chosen = ", ".join(f"{name}={value}" for name, value in work["batching"].items())
        self.settings = (
            f"mixed_bfloat16, the loop of `bert-keras finetune` in a run of {_EPOCHS} epochs, "
            f"{chosen}: {len(texts) / updates:.1f} examples an update"
        )

    def evidence(self) -> list[float]:
        return self._logits.ravel().tolist()

    def run(self, case: str) -> float:
        # An epoch as `FineTuner.run` runs it; its end would write a checkpoint.
        self._tuner.progress = Progress()
        self._tuner._run_epoch()
        return self.work["examples"]
