"""Whether a fine-tuning run is long enough to compile its steps for every shape of its batches."""

from __future__ import annotations

import math

import tensorflow as tf

from bert_keras.config import BertConfig
from bert_keras.data.training_batches import TrainingBatches

# What a shape has to come to in a run, in tokens times hidden size times layers. Compiling one
# takes about half a second on a CPU, and saves 9 to 25 ns for each of these: twice what breaks
# even where sentences are short.
_ELEMENTS_OF_A_SHAPE = 10**8


def compiling_pays(batches: TrainingBatches, epochs: int, config: BertConfig) -> bool:
    """Whether compiled steps on batches of rounded length take less time than plain ones.

    Args:
        batches: of the run; those of its first epoch are looked at. Packed ones are left as
            they are, for how many rows they have is only known when they are made, and so are
            those that a number of tokens limits, which rounding would exceed.
        epochs: how many there will be.
        config: of the encoder that is trained.
    """
    if batches.batching != "padded" or batches.batch_tokens:
        return False
    if tf.config.list_logical_devices("GPU"):
        return False
    shapes = [batches.examples.shape(indices, rounded=True) for indices in batches.plan(0)]
    tokens = epochs * sum(math.prod(shape) for shape in shapes)
    elements = tokens * config.hidden_size * config.num_hidden_layers
    return elements >= _ELEMENTS_OF_A_SHAPE * len(set(shapes))
