"""The examples of a recipe as our task prepares them, for both sides of the comparison."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np
import recipes

from bert_keras import checkpoints
from bert_keras.data.source import DataSource
from bert_keras.tasks import TASKS, FineTunedTask, Prepared
from bert_keras.tokenization import BertTokenizer


@dataclasses.dataclass(frozen=True)
class Setup:
    """A recipe on its data.

    Attributes:
        name: the recipe's.
        assets: the folder with `weights` and `data`.
        folder: of this recipe below the results.
    """

    name: str
    assets: pathlib.Path
    folder: pathlib.Path

    @property
    def recipe(self) -> recipes.Recipe:
        return recipes.RECIPES[self.name]

    @property
    def kind(self) -> type[FineTunedTask]:
        return TASKS[self.recipe.task]

    @functools.cached_property
    def examples(self) -> dict[str, Any]:
        """What the task reads, by split."""
        paths = self.recipe.splits(self.assets / "data", self.folder / "files")
        columns = self.recipe.columns
        return {
            split: self.kind.read(DataSource(str(path), **columns)) for split, path in paths.items()
        }

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        return self.kind.options_from(self.examples["train"], self.recipe.options)

    @functools.cached_property
    def prepared(self) -> dict[str, Prepared]:
        """Tokens and labels, by split."""
        model = self.model(seed=0)
        return {split: model.prepare(examples) for split, examples in self.examples.items()}

    @functools.cached_property
    def init(self) -> pathlib.Path:
        """The directory of weights that both sides begin with.

        Random ones are made once: the seeds of a recipe differ in the order of the examples, in
        dropout and in the head.
        """
        recipe = self.recipe
        if recipe.vocabulary is None:
            return self.assets / "weights" / recipe.init
        directory = self.folder / "init"
        if not directory.exists():
            vocabulary = self.assets / "data" / "vocab" / recipe.vocabulary / "vocab.txt"
            tokenizer = BertTokenizer(str(vocabulary), lowercase=True)
            model = self.kind.from_pretrained(recipe.init, tokenizer=tokenizer, **self.options)
            checkpoints.save_pretrained(
                directory, model.encoder.config, "BertModel", model.encoder, tokenizer=tokenizer
            )
        return directory

    def model(self, seed: int, dtype: str = "mixed_bfloat16") -> Any:
        """A model to train, with a head of random weights."""
        return self.kind.from_pretrained(
            self.init, max_length=self.recipe.max_length, seed=seed, dtype=dtype, **self.options
        )

    def write(self) -> None:
        """Leaves the features of each split as `features-SPLIT.npz`, for the other side."""
        model = self.model(seed=0)
        for split, prepared in self.prepared.items():
            examples = model.training_examples(prepared)
            arrays = {
                "lengths": examples.lengths,
                "labels": examples.labels,
                "num_labels": len(self.options.get("labels") or ()),
                **dataclasses.asdict(examples.inputs),
            }
            if self.recipe.task == "multiple_choice":
                arrays["groups"] = examples.splits
            recipes.save(self.folder / f"features-{split}.npz", arrays)


def outputs_of(model: Any, prepared: Prepared, task: str) -> np.ndarray:
    """What the model gives for each row, or for each token of every row in turn."""
    if task in recipes.PER_TOKEN:
        return np.concatenate(model.token_outputs(prepared.inputs))
    return model.raw_outputs(prepared.inputs)


def score(model: Any, prepared: Prepared, task: str, outputs: np.ndarray) -> dict[str, float]:
    """The task's metrics of outputs as `outputs_of` gives them, whichever side they are of."""
    if task in recipes.PER_TOKEN:
        rows = np.split(outputs, prepared.inputs.splits[1:-1])
        given = {"token_outputs": lambda *_: rows}
    else:
        given = {"raw_outputs": lambda *_: outputs}
    # Past Keras: in the place of the model's own outputs.
    vars(model).update(given)
    return model.metrics_of(prepared, model.run(prepared))
