"""TextInputs: the reading of texts and of pairs of texts, for tasks whose examples these are."""

from __future__ import annotations

from typing import Any, ClassVar

from bert_keras.data.examples import Examples, examples_of_texts, read_kind
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError
from bert_keras.tasks.inputs import as_strings, gather_texts, split_texts


class TextInputs:
    """A part of a `FineTunedTask`: examples are single texts, or pairs where `pairs` says so."""

    pairs: bool | None
    # The kind of examples, which says what a label is.
    examples_kind: ClassVar[type[Examples]] = Examples

    @classmethod
    def read(cls, source: DataSource, labelled: bool = True) -> Examples:
        """Texts or pairs of texts, and their labels; see `read_examples`."""
        return read_kind(cls.examples_kind, source, labelled)

    @classmethod
    def examples_of(cls, x: Any) -> Examples:
        """A list of strings; a tuple (texts, second texts); a dict with `text` and
        `text_pair`; or a dataset of batches of any of these."""
        texts, pairs = split_texts(gather_texts(x))
        return examples_of_texts(as_strings(texts), None if pairs is None else as_strings(pairs))

    def check(self, examples: Examples) -> None:
        """A UserError where a model of pairs meets single texts, or the other way round."""
        if self.pairs is not None and self.pairs != (examples.pairs is not None):
            expected = "pairs of texts" if self.pairs else "single texts"
            raise UserError(
                f"{examples.source}: has {examples.kind()}, the model expects {expected}"
            )
