"""Ours: an epoch of `bert-keras finetune`."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip

import bert_keras as bk
from benchmarks.sides.protocol import Side
from benchmarks.sides.sentences import for_training
from bert_keras.training.fine_tuning import (
    FineTuner,
    FineTuningSettings,
    LabelledExamples,
    Progress,
)
from bert_keras.training.strategies import make_strategy


class Finetuning(Side):
    """The loop of the command itself, so its batching too; without checkpoints and evaluation."""

    settings = "mixed_bfloat16, the loop and the batches of `bert-keras finetune`"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        strategy = make_strategy("one_device")
        with strategy.scope():
            task = bk.tasks.TextClassifier.from_pretrained(
                work["weights"], max_length=work["max_length"], dtype="mixed_bfloat16"
            )
        texts, labels = for_training(work)
        examples = LabelledExamples(task.encode(texts), labels)
        self._logits = task.raw_outputs(task.encode(texts[:32]))
        # Many epochs, for a learning rate that does not end.
        settings = FineTuningSettings(epochs=10_000, batch_size=work["batch"], learning_rate=1e-5)
        self._folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self._folder.name)
        self._tuner = FineTuner(task, examples, None, folder, settings, strategy, lambda _: None)

    def evidence(self) -> list[float]:
        return self._logits.ravel().tolist()

    def run(self, case: str) -> float:
        # An epoch as `FineTuner.run` runs it; its end would write a checkpoint.
        self._tuner.progress = Progress()
        self._tuner._run_epoch()
        return self.work["examples"]
