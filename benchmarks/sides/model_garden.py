"""What the sides of Model Garden share; legacy Keras, so a process of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling.optimization import legacy_adamw
from official.nlp.modeling import models, networks

from benchmarks.sides.weights import Arrays, read

tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")

# Parts of a variable's name and of the tensor's below its layer.
_LAYER = {
    "self_attention/query": "attention.self.query",
    "self_attention/key": "attention.self.key",
    "self_attention/value": "attention.self.value",
    "self_attention/attention_output": "attention.output.dense",
    "self_attention_layer_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}
_OUTSIDE = {
    "word_embeddings/embeddings": "embeddings.word_embeddings.weight",
    "position_embedding/embeddings": "embeddings.position_embeddings.weight",
    "type_embeddings/embeddings": "embeddings.token_type_embeddings.weight",
    "embeddings/layer_norm/gamma": "embeddings.LayerNorm.weight",
    "embeddings/layer_norm/beta": "embeddings.LayerNorm.bias",
    "pooler_transform/kernel": "pooler.dense.weight",
    "pooler_transform/bias": "pooler.dense.bias",
    "sentence_prediction/logits/kernel": "classifier.weight",
    "sentence_prediction/logits/bias": "classifier.bias",
    "cls/predictions/transform/dense/kernel": "cls.predictions.transform.dense.weight",
    "cls/predictions/transform/dense/bias": "cls.predictions.transform.dense.bias",
    "cls/predictions/transform/LayerNorm/gamma": "cls.predictions.transform.LayerNorm.weight",
    "cls/predictions/transform/LayerNorm/beta": "cls.predictions.transform.LayerNorm.bias",
    "cls/predictions/output_bias/bias": "cls.predictions.bias",
    "next_sentence/pooler_dense/kernel": "pooler.dense.weight",
    "next_sentence/pooler_dense/bias": "pooler.dense.bias",
    "next_sentence/logits/kernel": "cls.seq_relationship.weight",
    "next_sentence/logits/bias": "cls.seq_relationship.bias",
}


def _tensor_name(name: str) -> str:
    """The name in a Hugging Face file of a variable such as `transformer/layer_0/output/bias:0`.

    The name may begin with those of the models around.
    """
    name = name.partition(":")[0]
    _, inside, rest = name.partition("transformer/layer_")
    if not inside:
        return next(tensor for end, tensor in _OUTSIDE.items() if name.endswith(end))
    layer, _, rest = rest.partition("/")
    part, _, kind = rest.rpartition("/")
    suffix = "bias" if kind in ("bias", "beta") else "weight"
    return f"encoder.layer.{layer}.{_LAYER[part]}.{suffix}"


def assign(model: tf_keras.Model, weights: Arrays) -> None:
    """Gives every variable its tensor; kernels are `[input, output]`, heads split."""
    for variable in model.variables:
        value = weights[_tensor_name(variable.name)]
        if "kernel" in variable.name:
            value = value.T
        variable.assign(np.reshape(value, variable.shape))


def create_encoder(work: Mapping[str, Any]) -> networks.BertEncoderV2:
    """BertEncoderV2 with the activation that it has by default, not yet with weights."""
    values, _ = read(work["weights"])
    return networks.BertEncoderV2(
        vocab_size=values["vocab_size"],
        hidden_size=values["hidden_size"],
        num_layers=values["num_hidden_layers"],
        num_attention_heads=values["num_attention_heads"],
        max_sequence_length=values["max_position_embeddings"],
        type_vocab_size=values["type_vocab_size"],
        inner_dim=values["intermediate_size"],
    )


def features(token_ids: np.ndarray) -> dict[str, tf.Tensor]:
    """Of rows without padding."""
    ids = tf.constant(token_ids)
    return {
        "input_word_ids": ids,
        "input_mask": tf.ones_like(ids),
        "input_type_ids": tf.zeros_like(ids),
    }


def create_optimizer() -> tf_keras.optimizers.legacy.Optimizer:
    """Its AdamWeightDecay, the optimizer of its BERT recipes, which clips to norm 1."""
    return legacy_adamw.AdamWeightDecay(
        learning_rate=1e-5,
        weight_decay_rate=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        exclude_from_weight_decay=["LayerNorm", "layer_norm", "bias"],
        gradient_clip_norm=1.0,
    )


__all__ = [
    "assign",
    "create_encoder",
    "create_optimizer",
    "features",
    "models",
    "read",
    "tf",
    "tf_keras",
]
