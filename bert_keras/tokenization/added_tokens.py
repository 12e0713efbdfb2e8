"""Tokens that were added to a vocabulary after its training, and are found in text whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bert_keras.errors import UserError
from bert_keras.tokenization import vocabulary

# Google's tokenizer splits these like any other text, and so does ours: whoever types "[SEP]"
# must not end a segment. transformers matches them.
OF_BERT = (*vocabulary.REQUIRED, vocabulary.MASK)


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that is found in text before WordPiece, as `tokenizers.AddedToken`.

    Attributes:
        content: the text that it stands for.
        single_word: whether it is left alone next to a letter, digit or "_".
        lstrip, rstrip: whether it takes the white space before or behind it.
        normalized: whether it is looked for in the normalized text (lower-cased, without
            accents), in its own normalized form, instead of in the text as written.
        special: kept for the files; nothing depends on it here.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False

    @classmethod
    def of(cls, value: Any, source: str = "added_tokens", special: bool = False) -> AddedToken:
        """Makes one of a string, of a mapping as in tokenizer.json, or of an AddedToken.

        Args:
            value: a string has the flags that transformers gives it.
            source: where it stands, for messages.
            special: whether a string is a special token, which is not normalized.

        Raises:
            UserError: it is something else, a flag is no boolean, or the text is no Unicode.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            value = {"content": value, "special": special, "normalized": not special}
        if not isinstance(value, Mapping) or not isinstance(value.get("content"), str):
            raise UserError(
                f"{source}: {value!r}; expected a token's text, or an object with 'content'"
            )
        flags = {field.name for field in dataclasses.fields(cls)} - {"content"}
        given = {name: value[name] for name in sorted(flags & value.keys())}
        for name, flag in given.items():
            if not isinstance(flag, bool):
                raise UserError(
                    f"{source}: {name}={flag!r} of token {value['content']!r}; "
                    "expected true or false"
                )
        if any("\ud800" <= char <= "\udfff" for char in value["content"]):
            raise UserError(f"{source}: token {value['content']!r} holds a lone surrogate")
        return cls(value["content"], **given)

    def to_dict(self) -> dict[str, Any]:
        """The fields, as in tokenizer.json."""
        return dataclasses.asdict(self)


def numbered(tokens: Iterable[AddedToken], pieces: Sequence[str]) -> dict[str, int]:
    """The id of each content: that of the piece it equals, or the next one behind all pieces.

    Args:
        tokens: in the order in which they were added.
        pieces: the vocabulary without them.

    Returns:
        contents to ids, in order of first occurrence.
    """
    known = vocabulary.ids(pieces)
    found: dict[str, int] = {}
    following = len(pieces)
    for token in tokens:
        if token.content in found:
            continue
        found[token.content] = known.get(token.content, following)
        following += found[token.content] == following
    return found


class Registry:
    """Adds tokens one after the other as transformers' fast tokenizers do.

    A token that comes again with other flags keeps the way in which it is looked for
    (`normalized`) beside the new one, and takes the new flags otherwise: both searches find it.
    """

    def __init__(self) -> None:
        self._special: list[AddedToken] = []
        self._plain: list[AddedToken] = []
        self._latest: dict[str, AddedToken] = {}

    def add(self, token: AddedToken) -> None:
        """Adds a token, or changes the flags of one that is there."""
        if not token.content:
            return
        special = {known.content for known in self._special}
        if token.special and token.content not in special:
            self._special.append(token)
            special.add(token.content)
        if self._latest.get(token.content) == token:
            return
        self._latest[token.content] = token
        if token.content not in special:
            self._plain.append(token)

    def __contains__(self, content: str) -> bool:
        return content in self._latest

    def tokens(self) -> list[AddedToken]:
        """Returns the tokens to look for, in the order in which their texts were added first."""
        merged = [
            dataclasses.replace(self._latest[token.content], normalized=token.normalized)
            for token in (*self._special, *self._plain)
        ]
        order = {content: index for index, content in enumerate(self._latest)}
        return sorted(dict.fromkeys(merged), key=lambda token: order[token.content])
