"""Weights that all sides load: Hugging Face directories of random or of completed models.

NumPy alone makes them, so that each framework reads the same file.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import numpy as np
import numpy.typing as npt

VOCABULARY = 30522
_SPECIALS = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}

Arrays = dict[str, npt.NDArray[np.float32]]


def config(layers: int, hidden: int) -> dict[str, Any]:
    """`config.json` of a BERT in the published proportions."""
    return {
        "model_type": "bert",
        "architectures": ["BertForPreTraining"],
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


def _shapes(values: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a BertForPreTraining; kernels `[output, input]`."""
    hidden, inner = values["hidden_size"], values["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (values["vocab_size"], hidden),
        "bert.embeddings.position_embeddings.weight": (values["max_position_embeddings"], hidden),
        "bert.embeddings.token_type_embeddings.weight": (values["type_vocab_size"], hidden),
        "cls.predictions.bias": (values["vocab_size"],),
    }
    dense = {
        "bert.pooler.dense": (hidden, hidden),
        "cls.predictions.transform.dense": (hidden, hidden),
        "cls.seq_relationship": (2, hidden),
    }
    norms = ["bert.embeddings.LayerNorm", "cls.predictions.transform.LayerNorm"]
    for layer in range(values["num_hidden_layers"]):
        prefix = f"bert.encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{prefix}.attention.{name}"] = (hidden, hidden)
        dense[f"{prefix}.intermediate.dense"] = (inner, hidden)
        dense[f"{prefix}.output.dense"] = (hidden, inner)
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return shapes


def _random(values: dict[str, Any], seed: int) -> Arrays:
    """Normal kernels and tables of the config's deviation, as BERT starts."""
    generator = np.random.default_rng(seed)
    arrays: Arrays = {}
    for name, shape in _shapes(values).items():
        if len(shape) > 1:
            deviation = np.float32(values["initializer_range"])
            arrays[name] = generator.standard_normal(shape, np.float32) * deviation
        else:
            is_scale = name.endswith("LayerNorm.weight")
            arrays[name] = (np.ones if is_scale else np.zeros)(shape, np.float32)
    return arrays


def random_bert(
    folder: str, assets: str, name: str, layers: int, hidden: int, seed: int = 0
) -> None:
    """Writes `folder/name`, a BertForPreTraining, with BERT's vocabulary or a made-up one."""
    from safetensors.numpy import save_file

    directory = pathlib.Path(folder, name)
    directory.mkdir(exist_ok=True)
    values = config(layers, hidden)
    (directory / "config.json").write_text(json.dumps(values))
    (directory / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    known = pathlib.Path(assets, "data", "vocab", "uncased_30522", "vocab.txt")
    if assets and known.exists():
        shutil.copyfile(known, directory / "vocab.txt")
    else:
        words = [_SPECIALS.get(index, f"word{index}") for index in range(VOCABULARY)]
        (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    save_file(_random(values, seed), directory / "model.safetensors", {"format": "pt"})


def classifier(folder: str, assets: str, name: str, source: str, seed: int = 0) -> None:
    """Writes `folder/name`: the encoder of the directory `source` with a random head."""
    from safetensors.numpy import save_file

    directory, original = pathlib.Path(folder, name), pathlib.Path(source)
    directory.mkdir(exist_ok=True)
    for file in ("vocab.txt", "tokenizer_config.json"):
        shutil.copyfile(original / file, directory / file)
    values, encoder = read(source)
    values |= {
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "negative", "1": "positive"},
        "label2id": {"negative": 0, "positive": 1},
        "problem_type": "single_label_classification",
    }
    (directory / "config.json").write_text(json.dumps(values))
    weights = {f"bert.{key}": value for key, value in encoder.items() if key[:4] != "cls."}
    width = values["hidden_size"]
    # Of such a deviation that logits are about as large as the pooled output.
    head = np.random.default_rng(seed).standard_normal((2, width), np.float32) / np.sqrt(width)
    weights["classifier.weight"] = head.astype(np.float32)
    weights["classifier.bias"] = np.zeros(2, np.float32)
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def read(directory: str) -> tuple[dict[str, Any], Arrays]:
    """`config.json` and the tensors of a directory, without the prefix `bert.`."""
    from safetensors.numpy import load_file

    path = pathlib.Path(directory)
    tensors = load_file(path / "model.safetensors")
    return (
        json.loads((path / "config.json").read_text()),
        {name.removeprefix("bert."): value for name, value in tensors.items()},
    )
