"""Prompts: what a sentence embedder puts in front of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from bert_keras.errors import UserError

# Names of the prompt for texts that are searched, as sentence-transformers knows them.
_DOCUMENT_NAMES = ("document", "passage", "corpus")


@dataclasses.dataclass(frozen=True)
class Prompts:
    """The prompts of a model by name.

    Attributes:
        by_name: the prompts; an empty one changes nothing.
        default_name: of the prompt that every text gets for which no other is asked, None
            for none.

    Raises:
        UserError: a prompt is no text, or the default is none of them.
    """

    by_name: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_name: str | None = None

    def __post_init__(self) -> None:
        for name, prompt in self.by_name.items():
            if not isinstance(prompt, str):
                raise UserError(f"prompts: {name!r} is {prompt!r}, expected a text")
        if self.default_name is not None:
            self.named(self.default_name)

    def __bool__(self) -> bool:
        """Returns whether any prompt changes a text."""
        return any(self.by_name.values())

    def named(self, name: str | None) -> str:
        """Returns a prompt by its name, the default prompt for None.

        Raises:
            UserError: there is none of this name.
        """
        if name is None:
            return "" if self.default_name is None else self.by_name[self.default_name]
        if name not in self.by_name:
            known = ", ".join(self.by_name) or "none"
            raise UserError(f"prompt_name is {name!r}, the model's prompts are {known}")
        return self.by_name[name]

    @property
    def query(self) -> str:
        """The prompt of a query in a search; empty where none is called `query`."""
        return self.by_name.get("query", "")

    @property
    def document(self) -> str:
        """The prompt of a text that is searched: the first that is not empty of `document`,
        `passage` and `corpus`."""
        return next(filter(None, map(self.by_name.get, _DOCUMENT_NAMES)), "")


def with_prompt(texts: Sequence[str], prompt: str) -> list[str]:
    """Returns texts with a prompt in front of each."""
    return [prompt + text for text in texts]
