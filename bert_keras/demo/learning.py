"""Training the demo's model through `bert-keras finetune`, and scoring it on unseen packages."""

from __future__ import annotations

import dataclasses
import pathlib

from bert_keras import flags as verb_flags
from bert_keras.demo.stages import Result

TITLES = {
    "majority": "always the most frequent label",
    "bag_of_words": "logistic regression on the word counts of both",
    "bert": "BERT",
}


@dataclasses.dataclass(frozen=True)
class LearningSettings:
    """The model's size and the recipe, as `bert-keras finetune` has them."""

    size: str = "tiny"
    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 1e-3
    seq_length: int = 48
    checkpoint_every: int = 200
    seed: int = 0


def fine_tune(folder: pathlib.Path, settings: LearningSettings) -> Result:
    """Leaves `start/` (random weights) and `finetune/` (the run) in the demo's folder."""
    from bert_keras.commands import finetune

    start = folder / "start"
    if not (start / "model.safetensors").exists():
        _write_start(start, folder / "vocab.txt", settings)
    values = verb_flags.define("finetune")
    values(
        [
            "finetune",
            f"--init={start}",
            f"--train={folder / 'data' / 'train.tsv'}",
            f"--dev={folder / 'data' / 'dev.tsv'}",
            f"--output_dir={folder / 'finetune'}",
            f"--epochs={settings.epochs}",
            f"--batch_size={settings.batch_size}",
            f"--learning_rate={settings.learning_rate}",
            f"--seq_length={settings.seq_length}",
            f"--checkpoint_every={settings.checkpoint_every}",
            f"--seed={settings.seed}",
        ]
    )
    finetune.run(values)
    return {}


def score(folder: pathlib.Path, model: pathlib.Path) -> Result:
    """Test accuracy of the two baselines and of the model."""
    import numpy as np

    from bert_keras.data.examples import read_examples
    from bert_keras.demo import baselines
    from bert_keras.tasks import TextClassifier

    train = read_examples(str(folder / "data" / "train.tsv"))
    test = read_examples(str(folder / "data" / "test.tsv"))
    classifier = TextClassifier.from_pretrained(model)
    labels = np.asarray(test.label_ids([str(label) for label in classifier.labels or ()]))
    logits = classifier.raw_outputs(classifier.encode(test.texts, test.pairs))
    return {
        "examples": len(test),
        "majority": baselines.majority_accuracy(train.labels or [], test.labels or []),
        "bag_of_words": baselines.bag_of_words_accuracy(train, test),
        "bert": float(classifier.metrics_of(logits, labels)["accuracy"]),
    }


def _write_start(start: pathlib.Path, vocabulary: pathlib.Path, settings: LearningSettings) -> None:
    """A model directory with random weights, to be named by `--init`."""
    import keras

    from bert_keras.checkpoints import huggingface
    from bert_keras.config import BertConfig
    from bert_keras.models.encoder import BertEncoder
    from bert_keras.tokenization import BertTokenizer

    tokenizer = BertTokenizer(vocabulary)
    width = BertConfig.named(settings.size).hidden_size
    # BERT's own deviation, 0.02, suits a width of 768 and shrinks what narrow layers pass on;
    # one over the root of the width keeps its size.
    config = BertConfig.named(
        settings.size,
        vocab_size=tokenizer.vocab_size,
        initializer_range=round(width**-0.5, 4),
        max_position_embeddings=128,
    )
    keras.utils.set_random_seed(settings.seed)
    huggingface.save_pretrained(
        start, config, "BertModel", BertEncoder(config), tokenizer=tokenizer
    )
