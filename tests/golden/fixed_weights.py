"""A small BERT whose weights follow from a formula, so that every side can build the same one.

Tensor `name` is drawn from numpy's Philox generator with key crc32(name): a standard normal
times 0.15, plus 1 for LayerNorm scales, rounded to float32. Names and shapes are those of
Hugging Face's BertForPreTraining and BertForSequenceClassification ([out, in] kernels), so
that written to a `model.safetensors` they are an ordinary checkpoint.
"""

from __future__ import annotations

import zlib

import numpy as np

ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu")
NUM_LABELS = 3

CONFIG: dict[str, object] = {
    "model_type": "bert",
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.02,
    "pad_token_id": 0,
}
VOCAB, HIDDEN, INTERMEDIATE = 97, 32, 48


def _dense(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _layer_norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    """Tensor names, as in a file with heads (prefix `bert.`), and shapes of the encoder."""
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (VOCAB, HIDDEN),
        "bert.embeddings.position_embeddings.weight": (40, HIDDEN),
        "bert.embeddings.token_type_embeddings.weight": (2, HIDDEN),
        **_layer_norm("bert.embeddings.LayerNorm"),
    }
    for layer in range(2):
        prefix = f"bert.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            shapes |= _dense(f"{prefix}.attention.self.{part}", HIDDEN, HIDDEN)
        shapes |= _dense(f"{prefix}.attention.output.dense", HIDDEN, HIDDEN)
        shapes |= _layer_norm(f"{prefix}.attention.output.LayerNorm")
        shapes |= _dense(f"{prefix}.intermediate.dense", INTERMEDIATE, HIDDEN)
        shapes |= _dense(f"{prefix}.output.dense", HIDDEN, INTERMEDIATE)
        shapes |= _layer_norm(f"{prefix}.output.LayerNorm")
    return shapes | _dense("bert.pooler.dense", HIDDEN, HIDDEN)


def pretraining_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of BertForPreTraining; its decoder is the word embedding table."""
    return {
        **encoder_shapes(),
        **_dense("cls.predictions.transform.dense", HIDDEN, HIDDEN),
        **_layer_norm("cls.predictions.transform.LayerNorm"),
        "cls.predictions.bias": (VOCAB,),
        **_dense("cls.seq_relationship", 2, HIDDEN),
    }


def classifier_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of BertForSequenceClassification with three labels."""
    return {**encoder_shapes(), **_dense("classifier", NUM_LABELS, HIDDEN)}


def training_head_shapes() -> dict[str, tuple[int, ...]]:
    """The head of two classes that the recorded training run starts from, for width 384."""
    return _dense("classifier", 2, 384)


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 values of one tensor, a function of its name and shape only."""
    generator = np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode())))
    offset = 1.0 if name.endswith("LayerNorm.weight") else 0.0
    return (offset + 0.15 * generator.standard_normal(shape)).astype(np.float32)


def state(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Every tensor of a model, by Hugging Face's name."""
    return {name: tensor(name, shape) for name, shape in shapes.items()}


def features() -> dict[str, np.ndarray]:
    """Five padded examples of 3 to 20 tokens: token_ids, segment_ids, padding_mask [5, 20]."""
    lengths = np.array([20, 13, 3, 17, 9])
    generator = np.random.Generator(np.random.Philox(key=7))
    mask = (np.arange(20) < lengths[:, None]).astype(np.int32)
    ids = generator.integers(1, VOCAB, (5, 20)).astype(np.int32) * mask
    segments = (np.arange(20) >= lengths[:, None] // 2).astype(np.int32) * mask
    return {"token_ids": ids, "segment_ids": segments, "padding_mask": mask}


def labels() -> dict[str, np.ndarray]:
    """Targets of the recorded losses.

    `mask_positions` [5, 2] with `mask_ids` [5, 2] for the masked LM, `next_sentence` [5],
    `classes` [5] below three.
    """
    generator = np.random.Generator(np.random.Philox(key=8))
    return {
        "mask_positions": np.array([[1, 18], [4, 11], [0, 1], [2, 16], [3, 7]], np.int32),
        "mask_ids": generator.integers(1, VOCAB, (5, 2)).astype(np.int32),
        "next_sentence": np.array([0, 1, 1, 0, 1], np.int32),
        "classes": np.array([2, 0, 1, 1, 0], np.int32),
    }
