"""The stages of the model: pretraining, fine-tuning with and without it, the table, export."""

from __future__ import annotations

import dataclasses
import pathlib

from bert_keras.demo import learning, pretraining, serving
from bert_keras.demo.learning import LearningSettings
from bert_keras.demo.pretraining import PretrainingRecipe
from bert_keras.demo.stages import Result, Stages
from bert_keras.demo.story import Story

MODEL_NAME = "docstrings"
# The servable, and the folder with the model it was made from.
_SERVABLE = f"serving/{MODEL_NAME}/1"
MODEL = "finetune/model"
_PRETRAINED = "pretrain/model"
# Either fine-tuning: the title, what it starts from, and the folder of its run.
_FINE_TUNINGS = (
    ("from random weights", "start", "from_scratch"),
    ("from the pretrained weights", _PRETRAINED, "finetune"),
)


def pretrain(
    story: Story, stages: Stages, folder: pathlib.Path, size: str, recipe: PretrainingRecipe
) -> None:
    """Leaves `start/`, random weights, `store/`, and `pretrain/`, the run that began with them."""
    story.stage("Pretrain a small BERT on that text, as bert-keras prepare and pretrain do")
    stages.run(
        "start",
        {"size": size, "seed": recipe.seed},
        ["start"],
        lambda: pretraining.write_start(folder, size, recipe.seed),
    )
    outcome = stages.run(
        "pretrain",
        dataclasses.asdict(recipe),
        ["store", "pretrain"],
        lambda: pretraining.pretrain(folder, recipe),
        resumable=True,
    )
    story.tell(outcome)
    filled = stages.run("gaps", {}, [], lambda: pretraining.fill_masks(folder / _PRETRAINED))
    story.line("what it puts for a mask:")
    for gap, words in filled.result["filled"]:
        shown = ", ".join(f"{word} {probability:.0%}" for word, probability in words)
        story.line(f"  {gap:<48} {shown}")


def fine_tune(
    story: Story, stages: Stages, folder: pathlib.Path, settings: LearningSettings
) -> None:
    """Leaves `from_scratch/` and `finetune/`, two runs that differ in their first weights."""
    story.stage("Fine-tune it twice, alike but for the first weights, as bert-keras finetune does")
    for title, init, run in _FINE_TUNINGS:
        story.line(title)

        def work(init: str = init, run: str = run) -> Result:
            return learning.fine_tune(folder, folder / init, folder / run, settings)

        story.tell(stages.run(run, dataclasses.asdict(settings), [run], work, resumable=True))


def show_table(story: Story, stages: Stages, folder: pathlib.Path) -> None:
    """The test accuracy of the baselines and of both models."""
    story.stage("What pretraining buys: accuracy on packages that nothing was trained on")

    def work() -> Result:
        return {
            **learning.score_baselines(folder),
            "from_scratch": learning.score(folder, folder / "from_scratch" / "model"),
            "pretrained": learning.score(folder, folder / MODEL),
        }

    outcome = stages.run("scores", {}, [], work)
    story.tell(outcome)
    for name, title in learning.TITLES.items():
        story.line(f"{title:<48} {outcome.result[name]:.3f}")
    story.line(f"({outcome.result['examples']:,} test examples, one in two of each label)")


def export(story: Story, stages: Stages, folder: pathlib.Path) -> None:
    """Leaves the servable of the pretrained and fine-tuned model."""
    story.stage("Export the pretrained one: one SavedModel, strings in, answers out")
    outcome = stages.run(
        "export", {}, [_SERVABLE], lambda: serving.export(folder / MODEL, folder / _SERVABLE)
    )
    story.tell(outcome)
    story.line(f"{folder / _SERVABLE}: {outcome.result['megabytes']:.1f} MB")
