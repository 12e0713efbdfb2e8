"""Fine-tuning the demo's model through `bert-keras finetune`, and scoring it on unseen packages."""

from __future__ import annotations

import dataclasses
import pathlib

from bert_keras.demo.stages import Result
from bert_keras.demo.verbs import run_verb

TITLES = {
    "majority": "always the most frequent label",
    "bag_of_words": "logistic regression on the word counts of both",
    "from_scratch": "BERT, fine-tuned from random weights",
    "pretrained": "BERT, pretrained, then fine-tuned",
}


@dataclasses.dataclass(frozen=True)
class LearningSettings:
    """The recipe of either fine-tuning, as `bert-keras finetune` has it."""

    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 1e-3
    seq_length: int = 48
    checkpoint_every: int = 200
    seed: int = 0


def fine_tune(
    folder: pathlib.Path, init: pathlib.Path, run: pathlib.Path, settings: LearningSettings
) -> Result:
    """Trains the task from the model directory `init`, and leaves the run in `run`."""
    run_verb(
        "finetune",
        init=init,
        train=folder / "data" / "train.tsv",
        dev=folder / "data" / "dev.tsv",
        output_dir=run,
        **dataclasses.asdict(settings),
    )
    return {}


def score_baselines(folder: pathlib.Path) -> Result:
    """Test accuracy of what a model must beat."""
    from bert_keras.data.examples import read_examples
    from bert_keras.demo import baselines

    train = read_examples(str(folder / "data" / "train.tsv"))
    test = read_examples(str(folder / "data" / "test.tsv"))
    return {
        "examples": len(test),
        "majority": baselines.majority_accuracy(train.labels or [], test.labels or []),
        "bag_of_words": baselines.bag_of_words_accuracy(train, test),
    }


def score(folder: pathlib.Path, model: pathlib.Path) -> float:
    """Test accuracy of a model directory."""
    from bert_keras.data.examples import read_examples
    from bert_keras.tasks import TextClassifier

    classifier = TextClassifier.from_pretrained(model)
    test = classifier.prepare(read_examples(str(folder / "data" / "test.tsv")))
    return float(classifier.metrics_of(test, classifier.run(test))["accuracy"])
