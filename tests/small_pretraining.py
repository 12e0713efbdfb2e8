"""A small pretrainer and batches of made-up features, shared by tests of pretraining."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from bert_keras.tasks import BertPretrainer
from tests import small

LENGTH, PREDICTIONS = 16, 4


def pretrainer(
    dropout: float = 0.0, next_sentence: bool = True, dtype: str = "float32", **arguments
) -> BertPretrainer:
    """Two layers, 32 wide, with random weights, the same at every call."""
    keras.utils.set_random_seed(1)
    encoder = small.encoder(
        dropout,
        arguments.pop("initializer_range", 0.02),
        add_pooler=next_sentence,
        dtype=dtype,
        **arguments,
    )
    return BertPretrainer(encoder, small.tokenizer(), next_sentence, max_length=LENGTH, seed=3)


def features(batch: int, seed: int = 0, next_sentence: bool = True) -> dict[str, np.ndarray]:
    """A batch with rows of every length and with 0 to 4 masked tokens each."""
    random = np.random.default_rng(seed)
    lengths = random.integers(5, LENGTH + 1, (batch, 1))
    mask = (np.arange(LENGTH) < lengths).astype(np.int32)
    ids = random.integers(1, len(small.VOCABULARY), (batch, LENGTH)).astype(np.int32)
    used = np.arange(PREDICTIONS) < random.integers(0, PREDICTIONS + 1, (batch, 1))
    positions = np.stack([random.permutation(np.arange(1, 5)) for _ in range(batch)])
    words = random.integers(1, len(small.VOCABULARY), (batch, PREDICTIONS))
    found = {
        "token_ids": ids * mask,
        "segment_ids": (np.arange(LENGTH) >= lengths // 2).astype(np.int32) * mask,
        "padding_mask": mask,
        "mask_positions": (positions * used).astype(np.int32),
        "mask_ids": (words * used).astype(np.int32),
        "mask_weights": used.astype(np.float32),
    }
    if next_sentence:
        found["next_sentence_labels"] = random.integers(0, 2, batch).astype(np.int32)
        found["next_sentence_weights"] = np.ones(batch, np.float32)
    return found


def signature(batch: int | None, next_sentence: bool = True) -> dict[str, tf.TensorSpec]:
    """What `features` gives, with a static batch size or None."""
    return {
        name: tf.TensorSpec([batch, *value.shape[1:]], value.dtype)
        for name, value in features(1, next_sentence=next_sentence).items()
    }


def weights(task: BertPretrainer) -> list[np.ndarray]:
    """The values of all weights."""
    return [np.asarray(tf.convert_to_tensor(weight.value)) for weight in task.weights]


def largest_difference(one: list[np.ndarray], two: list[np.ndarray]) -> float:
    """The largest absolute difference of two lists of arrays."""
    return max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))
