"""BERT for Keras 3 and TensorFlow Serving.

    import bert_keras as bk

    encoder, tokenizer = bk.load("DIR")
    classifier = bk.tasks.TextClassifier.from_pretrained("DIR", labels=["negative", "positive"])
    bk.export.save(classifier, "serving/sentiment/1")

Names are imported when they are first used, so the command line can answer `--help` without
loading TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "BertConfig": "bert_keras.config",
    "BertEncoder": "bert_keras.models.encoder",
    "BertTokenizer": "bert_keras.tokenization",
    "UserError": "bert_keras.errors",
    "load": "bert_keras.checkpoints",
    "load_encoder": "bert_keras.checkpoints",
}
_MODULES = ("checkpoints", "export", "optimization", "tasks")

__all__ = sorted([*_WHERE, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"bert_keras.{name}")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'bert_keras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
