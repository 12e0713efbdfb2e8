"""Twelve updates of a real model against PyTorch's, by the numbers of tests/golden."""

from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.optimization import AdamW, WarmupDecay
from bert_keras.tasks import TextClassifier

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
FIXED = runpy.run_path(str(GOLDEN / "fixed_weights.py"))
SOURCES = runpy.run_path(str(GOLDEN / "sources.py"))
STEPS, BATCH_SIZE = 12, 16


@pytest.fixture(scope="module")
def classifier(minilm) -> TextClassifier:
    """MiniLM with the recorded run's head and optimizer, without dropout."""
    task = TextClassifier.from_pretrained(
        minilm,
        labels=[0, 1],
        config={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    )
    head = FIXED["state"](FIXED["training_head_shapes"]())
    weights = task.classifier.named_weights()
    weights["kernel"].assign(head["classifier.weight"].T)
    weights["bias"].assign(head["classifier.bias"])
    task.compile(AdamW(WarmupDecay(1e-4, STEPS, warmup_steps=2)))
    task.optimizer.build(task.trainable_variables)
    return task


@pytest.mark.slow
def test_losses_of_a_fine_tuning_run_equal_pytorchs(classifier, data):
    table = SOURCES["read_table"](data / "mrpc" / "train.tsv")[: STEPS * BATCH_SIZE]
    encoded = classifier.encode([row[3] for row in table], [row[4] for row in table])
    labels = np.array([int(row[0]) for row in table], np.int32)
    spec = tf.TensorSpec([None, None], tf.int32)
    features = {name: spec for name in ("token_ids", "segment_ids", "padding_mask")}

    @tf.function(input_signature=[features, tf.TensorSpec([None], tf.int32)])
    def update(features, labels):
        return classifier.update(features, labels).terms["loss"].mean()

    losses = []
    for start in range(0, len(table), BATCH_SIZE):
        rows = np.arange(start, start + BATCH_SIZE)
        losses.append(float(update(encoded.batch(rows), labels[rows])))
    recorded = np.load(GOLDEN / "training.npz")["losses"]
    np.testing.assert_allclose(losses, recorded, rtol=0, atol=1e-5)
