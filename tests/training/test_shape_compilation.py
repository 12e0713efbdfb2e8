"""Compiling for every shape of batch is for runs that are long enough."""

from __future__ import annotations

import numpy as np
import pytest

from bert_keras.config import BertConfig
from bert_keras.data.training_batches import TrainingBatches
from bert_keras.data.training_examples import LabelledExamples
from bert_keras.training.shape_compilation import compiling_pays
from tests.data.examples_of_length import examples_of

BASE, MINI = BertConfig.named("base"), BertConfig.named("mini")


def _batches(lengths, **settings) -> TrainingBatches:
    examples = LabelledExamples(examples_of(lengths), np.zeros(len(lengths), np.int32))
    return TrainingBatches(examples, **settings)


@pytest.mark.parametrize(
    ("config", "epochs", "pays"),
    # 50 batches of 32 x 20 tokens of 768 x 12 or 256 x 4: 2.9e8 or 3.3e7 elements an epoch.
    [(BASE, 1, True), (MINI, 1, False), (MINI, 3, False), (MINI, 4, True)],
)
def test_what_a_shape_comes_to_decides(config, epochs, pays):
    batches = _batches([20] * 1600)
    assert compiling_pays(batches, epochs, config) is pays
    for settings in ({"batching": "packed"}, {"batch_tokens": 640}):
        assert not compiling_pays(_batches([20] * 1600, **settings), epochs, config)


def test_many_shapes_cost_more():
    few, many = np.repeat([20, 22], 800), np.repeat(np.arange(11, 31), 80)
    assert compiling_pays(_batches(few.tolist()), 2, BASE)
    assert not compiling_pays(_batches(many.tolist()), 2, BASE)


def test_not_on_a_gpu(monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_logical_devices", lambda kind: [kind])
    assert not compiling_pays(_batches([20] * 1600), 9, BASE)
