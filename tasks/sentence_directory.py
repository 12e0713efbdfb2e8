"""SentenceDirectory: a model directory that sentence-transformers loads as well."""

from __future__ import annotations

from typing import Any

from bert_keras import checkpoints
from bert_keras.models.encoder import BertEncoder

# Most tokens of a text where a checkpoint does not say, unless it has fewer positions.
_LENGTH = 256


class SentenceDirectory:
    """A part of a `FineTunedTask` that pools tokens: how it is saved and loaded.

    Such a directory says in `modules.json` and in the files that this names how tokens become
    one vector; the encoder at the top is a plain `BertModel`.
    """

    encoder: BertEncoder
    pooling: str
    normalize: bool
    max_length: int

    def extra_files(self) -> dict[str, Any]:
        """The files of sentence-transformers."""
        modules = checkpoints.SentenceModules(self.pooling, self.normalize, self.max_length)
        return checkpoints.module_files(modules, self.encoder.config.hidden_size)

    @classmethod
    def recognises(cls, checkpoint: checkpoints.Checkpoint) -> bool:
        plain = "BertModel" in (checkpoint.settings.get("architectures") or ["BertModel"])
        return plain and checkpoint.sentence_modules() is not None

    @classmethod
    def stored_options(cls, checkpoint: checkpoints.Checkpoint) -> dict[str, Any]:
        stored: dict[str, Any] = super().stored_options(checkpoint)  # type: ignore[misc]
        modules = checkpoint.sentence_modules()
        if modules is not None:
            stored |= {"pooling": modules.pooling, "normalize": modules.normalize}
        return stored

    @classmethod
    def stored_length(cls, checkpoint: checkpoints.Checkpoint) -> int:
        modules = checkpoint.sentence_modules()
        length = modules.max_length if modules is not None else None
        return min(length or _LENGTH, checkpoint.config.max_position_embeddings)
