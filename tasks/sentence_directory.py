"""SentenceDirectory: a model directory that sentence-transformers loads as well."""

from __future__ import annotations

from typing import Any

from bert_keras import checkpoints
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks.prompts import Prompts

# Most tokens of a text of a checkpoint without sentence-transformers' files, unless it has fewer
# positions. With these files, all positions are used where they give no length.
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
    prompts: Prompts
    similarity: str | None

    def extra_files(self) -> dict[str, Any]:
        """The files of sentence-transformers."""
        modules = checkpoints.SentenceModules(
            self.pooling,
            self.normalize,
            self.max_length,
            self.prompts.by_name,
            self.prompts.default_name,
            self.similarity,
        )
        return checkpoints.module_files(modules, self.encoder.config.hidden_size)

    def options_of_texts(self) -> dict[str, Any]:
        """Returns the prompts and the similarity as options of the constructor.

        Only where they are not the defaults: a run's options are compared when it is resumed,
        and runs of before had none of these.
        """
        prompts, default = dict(self.prompts.by_name), self.prompts.default_name
        options: dict[str, Any] = {"prompts": prompts} if prompts else {}
        if default is not None:
            options["default_prompt_name"] = default
        return (
            options if self.similarity == "cosine" else {**options, "similarity": self.similarity}
        )

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
            stored |= {"prompts": modules.prompts, "similarity": modules.similarity}
            stored["default_prompt_name"] = modules.default_prompt_name
        return stored

    @classmethod
    def stored_length(cls, checkpoint: checkpoints.Checkpoint) -> int:
        longest: int = checkpoint.config.max_position_embeddings
        modules = checkpoint.sentence_modules()
        return min((modules.max_length or longest) if modules else _LENGTH, longest)
