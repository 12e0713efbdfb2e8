"""A small classifier and a small task, shared by tests of training, export and the verbs."""

from __future__ import annotations

import pathlib

import keras
import numpy as np

from bert_keras.config import BertConfig
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import TextClassifier
from bert_keras.tokenization import BertTokenizer

WORDS = "good fine great bad poor awful the film was a plot and actors it is not".split()
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##er", "!", "."]
LABELS = ["negative", "positive"]


def tokenizer() -> BertTokenizer:
    """A tokenizer of two dozen words."""
    return BertTokenizer(VOCABULARY)


def encoder(
    dropout: float = 0.1, initializer_range: float = 0.2, layers: int = 2, **arguments
) -> BertEncoder:
    """Two layers, 32 wide."""
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        # The published 0.02 suits a width of 768; at 32 little would reach the output.
        initializer_range=initializer_range,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return BertEncoder(config, **arguments)


def classifier(
    dropout: float = 0.1, labels=LABELS, initializer_range: float = 0.2, **arguments
) -> TextClassifier:
    """A classifier with random weights, the same at every call."""
    keras.utils.set_random_seed(1)
    return TextClassifier(
        encoder(dropout, initializer_range),
        tokenizer(),
        labels,
        **{"max_length": 16, "seed": 3, **arguments},
    )


def sentences(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Sentences with the label that their one telling word gives them."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        label = int(random.integers(2))
        telling = random.choice(WORDS[:3] if label else WORDS[3:6])
        neutral = random.choice(WORDS[6:], int(random.integers(1, 9)))
        words = [*neutral, telling]
        random.shuffle(words)
        texts.append(" ".join(words))
        labels.append(LABELS[label])
    return texts, labels


def write_tsv(path: pathlib.Path, count: int, seed: int) -> pathlib.Path:
    """A file of such sentences with the columns `text` and `label`."""
    rows = [f"{text}\t{label}" for text, label in zip(*sentences(count, seed), strict=True)]
    path.write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return path
