"""The packages that sides rest on, and what brings them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

_BENCH = "pip install -e '.[bench]'"
_PACKAGE = "pip install -e ."


@dataclasses.dataclass(frozen=True)
class Family:
    """Sides with the same needs.

    Attributes:
        modules: what must be importable.
        brought_by: the command that makes it so.
        packages: distributions whose versions are recorded.
        environment: variables of its processes.
    """

    modules: tuple[str, ...]
    brought_by: str
    packages: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


FAMILIES = {
    "ours": Family(("keras", "tensorflow"), _PACKAGE, ("bert-keras", "tensorflow", "keras")),
    "limit": Family(("tensorflow",), _PACKAGE, ("tensorflow",)),
    "pytorch": Family(
        ("torch", "transformers"), _BENCH, ("torch", "transformers", "tokenizers"), {"USE_TF": "0"}
    ),
    "onnx": Family(
        ("onnxruntime", "onnx", "torch", "transformers"),
        _BENCH,
        ("onnxruntime", "onnx", "torch", "transformers", "tokenizers"),
        {"USE_TF": "0"},
    ),
    "kerashub": Family(("keras_hub",), _PACKAGE, ("keras-hub", "keras", "tensorflow")),
    "model_garden": Family(
        ("official", "tf_keras"),
        _PACKAGE,
        ("tf-models-official", "tf-keras", "tensorflow"),
        # Legacy Keras is for this process alone.
        {"TF_USE_LEGACY_KERAS": "1"},
    ),
    "tokenizers": Family(("tokenizers",), _PACKAGE, ("tokenizers",)),
    "google": Family(("tensorflow",), _PACKAGE, ("tensorflow",)),
}
