"""Strings-in servables of task models, and servers and clients for them."""

from __future__ import annotations

from typing import Any

# The server and the client need packages of the extra `serving`; only who uses them pays.
_WHERE = {
    "save": "bert_keras.export.saved_model",
    "CppSession": "bert_keras.export.capi",
    "Client": "bert_keras.export.client",
    "ServedModel": "bert_keras.export.served_model",
    "ModelServer": "bert_keras.export.server",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
