"""Tags of entities: how they are written, and the schemes IOB1, IOB2 and IOBES.

IOB1 (Ramshaw and Marcus 1995) writes `I-` and keeps `B-` for an entity right behind another of
its type; IOB2 begins every entity with `B-`; IOBES ends one with `E-` and writes `S-` for an
entity of one word. A word outside of entities is `O` in each. BILOU, BMES and BMEWO are IOBES
with other letters.

Standard tags are `O` and `B-PER` with one of the letters B, I, E, S; `standard_tags` makes them
of other notations, such as `B_PER`, `b-per`, `PER-B` and `U-PER`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from absl import logging

from bert_keras.errors import UserError

SCHEMES = ("IOB2", "IOB1", "IOBES")
# Tags without prefixes: parts of speech, for one.
NO_SCHEME = "none"
OUTSIDE = "O"
# The type of entities whose tags are bare letters, named as in seqeval.
NO_TYPE = "_"

# The type of an entity, its first word, and the word after its last.
Span: TypeAlias = tuple[str, int, int]
# Gives `file:line` of a word of a sentence.
Where: TypeAlias = Callable[[int, int], str]

_PREFIXES = {"IOB2": "BI", "IOB1": "IB", "IOBES": "BIES"}
# Letters of BILOU (Last, Unit), BMES (Middle) and BMEWO (Whole) as letters of IOBES.
_LETTERS = {**{letter: letter for letter in "BIES"}, "L": "E", "U": "S", "W": "S", "M": "I"}
_UPPER, _LOWER = "[BIESLUMW]", "[bieslumw]"


class _Notation(NamedTuple):
    """A way of writing tags: a pattern with the groups `letter` and `type`, and the outsides."""

    pattern: re.Pattern[str]
    outside: frozenset[str]


def _notation(pattern: str, outside: str = "O") -> _Notation:
    return _Notation(re.compile(pattern, re.DOTALL), frozenset(outside))


_STANDARD = _notation(rf"(?P<letter>{_UPPER})-(?P<type>.+)")
_BARE = _notation(rf"(?P<letter>{_UPPER})(?P<type>)")
# In the order in which they are tried: types may have hyphens and underscores in them.
_OTHERS = (
    _notation(rf"(?P<letter>{_UPPER})_(?P<type>.+)"),
    _notation(rf"(?P<letter>{_LOWER})-(?P<type>.+)", "Oo"),
    _notation(rf"(?P<letter>{_LOWER})_(?P<type>.+)", "Oo"),
    _notation(rf"(?P<type>.+)-(?P<letter>{_UPPER})"),
    _notation(rf"(?P<type>.+)_(?P<letter>{_UPPER})"),
    _notation(rf"(?P<type>.+)-(?P<letter>{_LOWER})", "Oo"),
    _notation(rf"(?P<type>.+)_(?P<letter>{_LOWER})", "Oo"),
)


# Notations.


def _letters(notation: _Notation, tags: Iterable[str]) -> set[str] | None:
    """Returns the letters of tags in a notation, None where one is written in another."""
    letters = set()
    for tag in tags:
        match = notation.pattern.fullmatch(tag)
        if match is None:
            return None
        letters.add(_LETTERS[match["letter"].upper()])
    return letters


def _notation_of(tags: Iterable[str]) -> _Notation | None:
    """Returns the notation in which every tag is written, None where there is none.

    Tags of parts of speech may look like one by chance (`S-NOM`, `E_X`). So `O` must be among
    the tags, and a letter that can begin an entity; in the standard notation B or I will do for
    `O`, among bare letters B will.
    """
    distinct = set(tags)
    for notation in (_STANDARD, *_OTHERS, _BARE):
        letters = _letters(notation, distinct - notation.outside)
        if not letters:
            continue
        has_outside = bool(distinct & notation.outside)
        if notation is _STANDARD:
            is_entity = has_outside or bool(letters & set("BI"))
        elif notation is _BARE:
            is_entity = "B" in letters or (has_outside and "I" in letters)
        else:
            is_entity = has_outside and letters != {"E"}
        if is_entity:
            return notation
    return None


def _standard_tag(notation: _Notation, tag: str) -> str:
    """Returns a tag as a standard tag; one that is written in another way stays as it is."""
    if tag in notation.outside:
        return OUTSIDE
    match = notation.pattern.fullmatch(tag)
    if match is None:
        return tag
    return join_tag(_LETTERS[match["letter"].upper()], match["type"] or NO_TYPE)


def standard_tags(sentences: Sequence[Sequence[str]]) -> list[list[str]]:
    """Returns the tags of sentences as standard tags.

    All tags decide together in which notation they are written. Where no notation fits them all,
    those in the standard notation count, and others stay as they are.
    """
    distinct = {tag for tags in sentences for tag in tags}
    notation = _notation_of(distinct) or _STANDARD
    standard = {tag: _standard_tag(notation, tag) for tag in distinct}
    return [[standard[tag] for tag in tags] for tags in sentences]


def _is_mixed(tags: Iterable[str]) -> bool:
    """Returns whether tags of entities are among others that are written in another way.

    With `O`, half of the distinct tags, or more, are then in the standard notation.
    """
    distinct = set(tags)
    marked = [tag for tag in distinct if _STANDARD.pattern.fullmatch(tag)]
    return OUTSIDE in distinct and 0 < len(distinct) - 1 <= 2 * len(marked)


# Tags and entities.


def split_tag(tag: str) -> tuple[str, str]:
    """Returns the letter and the type of a standard tag, such as B and `creative-work`.

    `O` has no type, and the type of a bare letter is `_`.
    """
    prefix, separator, kind = tag.partition("-")
    if not separator and prefix in tuple("BIES"):
        return prefix, NO_TYPE
    return prefix, kind


def join_tag(prefix: str, kind: str) -> str:
    """Returns the standard tag of a letter and a type; see `split_tag`."""
    return prefix if kind == NO_TYPE else f"{prefix}-{kind}"


def _is_marked(tag: str) -> bool:
    prefix, kind = split_tag(tag)
    return prefix in tuple("BIES") and bool(kind)


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Returns the entities of a sentence, in order, as conlleval and seqeval's default mode do.

    The tags are standard tags of any scheme, and need not obey it: a word goes on with the entity
    of the word before it unless it is `B-` or `S-`, or of another type, or the one before is `E-`
    or `S-`; else it begins one. What is no standard tag is outside of entities.
    """
    spans: list[Span] = []
    begin, before, kind_before = 0, OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = split_tag(tag) if _is_marked(tag) else (OUTSIDE, "")
        inside = prefix in "IE" and before in "BI" and kind == kind_before
        if before != OUTSIDE and not inside:
            spans.append((kind_before, begin, place))
        if not inside:
            begin = place
        before, kind_before = prefix, kind
    return spans


def tags_of(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Returns the tags of a sentence of `length` words with these entities, in order."""
    tags = [OUTSIDE] * length
    kind_before, end_before = "", -1
    for kind, begin, end in spans:
        first, last = "B", "I"
        if scheme == "IOB1":
            first = "B" if kind == kind_before and begin == end_before else "I"
        elif scheme == "IOBES":
            first, last = "B" if end - begin > 1 else "S", "E"
        tags[begin:end] = [join_tag("I", kind)] * (end - begin)
        tags[end - 1] = join_tag(last, kind)
        tags[begin] = join_tag(first, kind)
        kind_before, end_before = kind, end
    return tags


def convert(tags: Sequence[str], scheme: str) -> list[str]:
    """Returns a sentence's standard tags, of any scheme, in another.

    What is no tag of entities stays as it is; without a scheme all do.
    """
    if scheme == NO_SCHEME:
        return list(tags)
    converted = tags_of(spans_of(tags), len(tags), scheme)
    return [new if _is_marked(old) else old for old, new in zip(tags, converted, strict=True)]


# Schemes.


def scheme_of_labels(labels: Iterable[str]) -> str:
    """Returns the scheme that a model's labels look like; IOB1's look like IOB2's."""
    names = list(labels)
    if not (_notation_of(names) or _is_mixed(names) or _letters(_STANDARD, names)):
        return NO_SCHEME
    prefixes = {split_tag(tag)[0] for tag in standard_tags([names])[0] if _is_marked(tag)}
    return "IOBES" if prefixes & set("ES") else "IOB2"


def labels_of(types: Iterable[str], scheme: str) -> list[str]:
    """Returns O, and every tag that entities of these types have in a scheme."""
    prefixes = _PREFIXES[scheme]
    return [OUTSIDE, *(join_tag(prefix, kind) for kind in sorted(types) for prefix in prefixes)]


def types_of(tags: Iterable[str]) -> set[str]:
    """Returns the types of the entities of standard tags."""
    return {split_tag(tag)[1] for tag in tags if _is_marked(tag)}


def allowed(before: str, after: str, scheme: str) -> bool:
    """Returns whether one standard tag may follow another; a sentence's ends count as O."""
    (prefix, kind), (next_prefix, next_kind) = split_tag(before), split_tag(after)
    same = kind == next_kind
    if scheme == "IOB2":
        return next_prefix != "I" or (prefix in "BI" and same)
    if scheme == "IOB1":
        return next_prefix != "B" or (prefix in "BI" and same)
    if scheme == "IOBES":
        return (prefix in "BI") == (next_prefix in "IE") and (prefix not in "BI" or same)
    return True


def detect_scheme(sentences: Sequence[Sequence[str]], where: Where) -> str:
    """Returns the scheme of data, or `none` where the tags are not those of entities.

    It is the one in which the fewest tags break the scheme. A warning names the first that does,
    and another says that no entities will be scored where tags merely resemble those of entities.

    Args:
        sentences: the tags of each, in any notation.
        where: gives `file:line` of a word of a sentence.

    Raises:
        UserError: a tag is written in another way than the others; names its file and line.
    """
    distinct = {tag for tags in sentences for tag in tags}
    if _notation_of(distinct) is None:
        if _is_mixed(distinct):
            check_prefixes(sentences, where)
        _warn_of_resemblance(sentences, where)
        return NO_SCHEME
    standard = standard_tags(sentences)
    broken = {scheme: _broken(standard, scheme) for scheme in SCHEMES}
    best = min(SCHEMES, key=lambda scheme: len(broken[scheme]))
    if broken[best]:
        sentence, word, expected = broken[best][0]
        logging.warning(
            "%s: received %r, expected %r by the scheme %s, which fits the other tags: this tag "
            "and %d more are read as conlleval does, whose rules are lenient",
            *(where(sentence, word), sentences[sentence][word], expected, best),
            len(broken[best]) - 1,
        )
    return best


def check_prefixes(sentences: Sequence[Sequence[str]], where: Where) -> None:
    """Raises a UserError, with file and line, for a tag that is not written as the others are."""
    notation = _notation_of({tag for tags in sentences for tag in tags}) or _STANDARD
    for sentence, tags in enumerate(sentences):
        for word, tag in enumerate(tags):
            if tag not in notation.outside and not notation.pattern.fullmatch(tag):
                raise UserError(
                    f"{where(sentence, word)}: received the tag {tag!r}, expected O or a tag "
                    "such as B-PER, written as the others are; tag_scheme=none takes tags as they "
                    "are"
                )


def _warn_of_resemblance(sentences: Sequence[Sequence[str]], where: Where) -> None:
    """Warns where some tags, but not all, look like those of entities."""
    distinct = {tag for tags in sentences for tag in tags}
    resembling = {
        tag
        for notation in (_STANDARD, *_OTHERS)
        if distinct & notation.outside
        for tag in distinct
        if (letters := _letters(notation, [tag])) and letters <= set("BI")
    }
    if not resembling:
        return
    others = distinct - resembling - {OUTSIDE, OUTSIDE.lower()}
    sentence, word = next(
        (index, place)
        for index, tags in enumerate(sentences)
        for place, tag in enumerate(tags)
        if tag in resembling
    )
    logging.warning(
        "%s: the tag %r looks like one of entities, %r does not: tags are taken as they are, and "
        "no entities are found or scored",
        *(where(sentence, word), sentences[sentence][word], min(others, default="")),
    )


def _broken(sentences: Sequence[Sequence[str]], scheme: str) -> list[tuple[int, int, str]]:
    """Returns sentence and word of every tag that a scheme writes in another way, and that way."""
    return [
        (sentence, word, expected)
        for sentence, tags in enumerate(sentences)
        for word, (tag, expected) in enumerate(zip(tags, convert(tags, scheme), strict=True))
        if tag != expected
    ]
