"""What became of a checkpoint's parts in one load, said in one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from absl import logging

POOLER = "pooler"
_NAMES = {
    POOLER: "the pooler",
    "masked_lm": "the masked-LM head",
    "next_sentence": "the next-sentence head",
    "classifier": "the classifier",
    "question_answering": "the question-answering head",
    "crf": "the CRF",
}
_TENSORS_SHOWN = 3


@dataclasses.dataclass
class LoadReport:
    """Notes taken while a model is made of a checkpoint.

    Parts are "pooler" and the heads of `names.HEADS`.

    Attributes:
        used: parts whose weights the model has.
        new: parts of the model that start from random weights.
        notes: why a part is not used, and what else a user must know.
    """

    used: set[str] = dataclasses.field(default_factory=set)
    new: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def say(self, source: str, parts: Iterable[str], others: Sequence[str]) -> None:
        """Logs one warning that names what is not used and what is new; nothing if all is.

        Args:
            source: the checkpoint.
            parts: those it holds.
            others: its tensors that are no part of a BERT.
        """
        unused = [_NAMES[part] for part in parts if part not in self.used]
        if others:
            shown = ", ".join(sorted(others)[:_TENSORS_SHOWN])
            more = ", …" if len(others) > _TENSORS_SHOWN else ""
            tensors = "tensor" if len(others) == 1 else "tensors"
            unused.append(f"{len(others)} {tensors} outside BERT ({shown}{more})")
        said = [f"not used: {', '.join(unused)}"] if unused else []
        if self.new:
            said.append(f"from random weights: {', '.join(_NAMES[part] for part in self.new)}")
        if said or self.notes:
            logging.warning("%s: %s", source, "; ".join([*said, *self.notes]))
