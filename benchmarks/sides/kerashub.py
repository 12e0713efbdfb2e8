"""What the sides of KerasHub share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import keras
import keras_hub
import numpy as np
import tensorflow as tf

from benchmarks.sides.weights import read

Features = dict[str, tf.Tensor]


def features(token_ids: np.ndarray) -> Features:
    """Of rows without padding."""
    ids = tf.constant(token_ids)
    return {
        "token_ids": ids,
        "segment_ids": tf.zeros_like(ids),
        "padding_mask": tf.ones_like(ids),
    }


def create_backbone(work: Mapping[str, Any]) -> keras.Model:
    """BertBackbone with the work's weights, mixed_bfloat16."""
    return keras_hub.models.BertBackbone.from_preset(work["weights"], dtype="mixed_bfloat16")


def create_classifier(work: Mapping[str, Any], **options: Any) -> keras.Model:
    """BertTextClassifier with the work's weights and head."""
    model = keras_hub.models.BertTextClassifier(
        backbone=create_backbone(work), num_classes=2, **options
    )
    _, weights = read(work["weights"])
    model.output_dense.kernel.assign(weights["classifier.weight"].T)
    model.output_dense.bias.assign(weights["classifier.bias"])
    return model


def create_optimizer(model: keras.Model, learning_rate: float = 1e-5) -> keras.optimizers.Optimizer:
    """AdamW with BERT's constants and exclusions, clipped to norm 1."""
    optimizer = keras.optimizers.AdamW(
        learning_rate=learning_rate,
        weight_decay=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        global_clipnorm=1.0,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)
    return optimizer


def how(work: Mapping[str, Any]) -> str:
    """For the settings' text."""
    return f"jit_compile={bool(work.get('jit_compile'))}"


__all__ = [
    "Features",
    "create_backbone",
    "create_classifier",
    "create_optimizer",
    "features",
    "how",
    "keras",
    "keras_hub",
    "np",
    "tf",
]
