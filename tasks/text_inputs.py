"""TextInputs: the reading of texts and of pairs of texts, for tasks whose examples these are."""

from __future__ import annotations

from typing import Any, ClassVar

import tensorflow as tf

from bert_keras.data.examples import Examples, examples_of_texts, read_kind
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError
from bert_keras.tasks.given_examples import given
from bert_keras.tasks.inputs import gather, has_pairs, text_dataset, text_lists

_WHAT_TO_PASS = {
    True: "pass (texts, second texts), in a dataset nested: ((texts, second texts),)",
    False: "pass a list of texts",
}


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
        """Returns unlabelled examples of what `predict` is given.

        Args:
            x: texts as `text_lists` takes them, what `read` returns, or a dataset of batches of
                texts or of tuples (texts,), (texts, labels) and (texts, labels, weights), in
                which pairs are a tuple or a dict in place of texts.
        """
        if isinstance(x, Examples):
            return x
        if isinstance(x, tf.data.Dataset):
            x = gather(text_dataset(x, "x"))
        texts = text_lists(x, "x")
        examples = examples_of_texts(*(texts if isinstance(texts, tuple) else (texts,)))
        return given(examples, "x")

    def check(self, examples: Examples) -> None:
        """A UserError where a model of pairs meets single texts, or the other way round."""
        if len(examples):
            self._check_kind(examples.pairs is not None, examples.source)

    def check_inputs(self, x: Any, name: str) -> None:
        """As `check`, of texts in the form of `inputs_of` or their specification in a dataset."""
        self._check_kind(has_pairs(x), name)

    def _check_kind(self, pairs: bool, name: str) -> None:
        if self.pairs is None or self.pairs == pairs:
            return
        found, expected = (
            ("pairs of texts", "single texts")
            if pairs
            else (
                "single texts",
                "pairs of texts",
            )
        )
        raise UserError(
            f"{name}: has {found}, the model expects {expected}: {_WHAT_TO_PASS[self.pairs]}"
        )
