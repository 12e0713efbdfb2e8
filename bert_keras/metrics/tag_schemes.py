"""Tags of entities: the schemes IOB1, IOB2 and IOBES, told apart, read and converted.

IOB1 (Ramshaw and Marcus 1995) writes `I-` and keeps `B-` for an entity right behind another of
its type; IOB2 begins every entity with `B-`; IOBES ends one with `E-` and writes `S-` for an
entity of one word. A word outside of entities is `O` in each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from bert_keras.errors import UserError

SCHEMES = ("IOB2", "IOB1", "IOBES")
# Tags without prefixes: parts of speech, for one.
NO_SCHEME = "none"
OUTSIDE = "O"

# The type of an entity, its first word, and the word after its last.
Span: TypeAlias = tuple[str, int, int]

_PREFIXED = re.compile(r"[BIES]-.")
_PREFIXES = {"IOB2": "BI", "IOB1": "IB", "IOBES": "BIES"}


def split_tag(tag: str) -> tuple[str, str]:
    """The prefix and the type of a tag, such as B and `creative-work`; O has no type."""
    prefix, _, kind = tag.partition("-")
    return prefix, kind


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The entities of a sentence, in order, as conlleval and seqeval's default mode read them.

    The tags may be of any scheme, and need not obey it: a word goes on with the entity of the
    word before it unless it is `B-` or `S-`, or of another type, or the one before is `E-` or
    `S-`; else it begins one.
    """
    spans: list[Span] = []
    begin, before, kind_before = 0, OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = split_tag(tag)
        inside = prefix in "IE" and before in "BI" and kind == kind_before
        if before != OUTSIDE and not inside:
            spans.append((kind_before, begin, place))
        if not inside:
            begin = place
        before, kind_before = prefix, kind
    return spans


def tags_of(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of a sentence of `length` words with these entities, in order, in a scheme."""
    tags = [OUTSIDE] * length
    kind_before, end_before = "", -1
    for kind, begin, end in spans:
        first, last = "B", "I"
        if scheme == "IOB1":
            first = "B" if kind == kind_before and begin == end_before else "I"
        elif scheme == "IOBES":
            first, last = "B" if end - begin > 1 else "S", "E"
        tags[begin:end] = [f"I-{kind}"] * (end - begin)
        tags[end - 1] = f"{last}-{kind}"
        tags[begin] = f"{first}-{kind}"
        kind_before, end_before = kind, end
    return tags


def convert(tags: Sequence[str], scheme: str) -> list[str]:
    """A sentence's tags, of any scheme, in another; where there are no prefixes, as they are."""
    if scheme == NO_SCHEME:
        return list(tags)
    return tags_of(spans_of(tags), len(tags), scheme)


def scheme_of_labels(labels: Iterable[str]) -> str:
    """The scheme that a model's labels look like; IOB1's look like IOB2's."""
    prefixes = {label[0] for label in labels if _PREFIXED.match(label)}
    if prefixes & set("ES"):
        return "IOBES"
    return "IOB2" if prefixes else NO_SCHEME


def labels_of(types: Iterable[str], scheme: str) -> list[str]:
    """O, and every tag that entities of these types have in a scheme."""
    prefixes = _PREFIXES[scheme]
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(types) for prefix in prefixes)]


def allowed(before: str, after: str, scheme: str) -> bool:
    """Whether one tag may follow another; the sentence's ends count as O."""
    (prefix, kind), (next_prefix, next_kind) = split_tag(before), split_tag(after)
    same = kind == next_kind
    if scheme == "IOB2":
        return next_prefix != "I" or (prefix in "BI" and same)
    if scheme == "IOB1":
        return next_prefix != "B" or (prefix in "BI" and same)
    if scheme == "IOBES":
        return (prefix in "BI") == (next_prefix in "IE") and (prefix not in "BI" or same)
    return True


def detect_scheme(sentences: Sequence[Sequence[str]], where: Callable[[int, int], str]) -> str:
    """The scheme of data, or `none` where no tag has a prefix.

    It is the one whose tags for the data's entities are the data's.

    Args:
        sentences: the tags of each.
        where: gives `file:line` of a word of a sentence.

    Raises:
        UserError: a tag has no prefix though others have, or the tags obey no scheme; names
            the file and line of the first that breaks the scheme that fits best.
    """
    if not any(_PREFIXED.match(tag) for tags in sentences for tag in tags):
        return NO_SCHEME
    check_prefixes(sentences, where)
    broken = {scheme: _broken(sentences, scheme) for scheme in SCHEMES}
    best = min(SCHEMES, key=lambda scheme: len(broken[scheme]))
    if broken[best]:
        sentence, word, expected = broken[best][0]
        raise UserError(
            f"{where(sentence, word)}: received {sentences[sentence][word]!r}, expected "
            f"{expected!r} by the scheme {best}, which fits the other tags; --tag_scheme={best} "
            "reads the entities as conlleval does, whose rules are lenient"
        )
    return best


def check_prefixes(sentences: Sequence[Sequence[str]], where: Callable[[int, int], str]) -> None:
    """A UserError, with file and line, for a tag that is neither O nor has a prefix."""
    for sentence, tags in enumerate(sentences):
        for word, tag in enumerate(tags):
            if tag != OUTSIDE and not _PREFIXED.match(tag):
                raise UserError(
                    f"{where(sentence, word)}: received the tag {tag!r}, expected O or a tag "
                    "such as B-PER; --tag_scheme=none takes tags as they are"
                )


def _broken(sentences: Sequence[Sequence[str]], scheme: str) -> list[tuple[int, int, str]]:
    """Sentence and word of every tag that a scheme writes in another way, and that way."""
    return [
        (sentence, word, expected)
        for sentence, tags in enumerate(sentences)
        for word, (tag, expected) in enumerate(zip(tags, convert(tags, scheme), strict=True))
        if tag != expected
    ]
