"""A labelled task that word counts cannot solve, made of documented functions.

A sentence of a docstring often has a preposition with a part on each side: "Compute the mean
*of* the values". Exchanging the two parts gives a second sentence of exactly the same words,
"Compute the values of the mean". Both stand beside the function's signature, and the question
is which of them is the one that its author wrote. Since both come with the same words beside
the same signature, no statistic of word counts is better than chance; word order is needed.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import re
import zlib
from collections.abc import Iterable, Sequence

from bert_keras.data.files import write_text
from bert_keras.demo.docstrings import Documented

AS_WRITTEN = "as_written"
EXCHANGED = "exchanged"
SPLITS = ("train", "dev", "test")

_PREPOSITIONS = frozenset("of to from in for with by into on as at using over between".split())
# Lists of parameters and formulas have these, plain sentences do not.
_NOT_PLAIN = frozenset(":;=<>|/")
_FEWEST_WORDS, _MOST_WORDS = 5, 20
# Enough to see what a function works on; long lists would cost time and say little more.
_ARGUMENTS_SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Example:
    """One row of the task: a sentence, a function's signature, and the label.

    `package` is the top-level package that the function comes from.
    """

    text: str
    text_pair: str
    label: str
    package: str


def make_examples(functions: Iterable[Documented]) -> list[Example]:
    """Two examples for each sentence that can be exchanged, next to each other.

    A sentence whose words were there before, in whatever order, is left out.
    """
    seen: set[str] = set()
    examples = []
    for function in functions:
        signature = signature_words(function.name, function.arguments)
        for sentence in sentences(function.paragraphs):
            exchanged = exchange(sentence)
            words = word_bag(sentence)
            if exchanged is not None and words not in seen:
                seen.add(words)
                examples.append(Example(sentence, signature, AS_WRITTEN, function.package))
                examples.append(Example(exchanged, signature, EXCHANGED, function.package))
    return examples


def sentences(paragraphs: Iterable[str]) -> list[str]:
    """The sentences of paragraphs, without their full stops."""
    found: list[str] = []
    for paragraph in paragraphs:
        found += re.split(r"(?<=[a-z)'0-9])\.\s+(?=[A-Z])", paragraph)
    return [sentence.strip().rstrip(".") for sentence in found]


def word_bag(sentence: str) -> str:
    """The words of a sentence in alphabetical order: the same for the same words in any order."""
    return " ".join(sorted(re.findall(r"\w+", sentence.lower())))


def exchange(sentence: str) -> str | None:
    """The sentence with the parts around its first preposition exchanged.

    The first word, usually the verb, stays: "Convert bytes to text" becomes "Convert text to
    bytes".

    Returns:
        None where the text is too short or too long, is not a plain sentence, has no such
        preposition, or would stay the same.
    """
    words = sentence.split()
    plain = sentence[:1].isupper() and _NOT_PLAIN.isdisjoint(sentence)
    if not plain or not _FEWEST_WORDS <= len(words) <= _MOST_WORDS:
        return None
    for index in range(2, len(words) - 1):
        if words[index] in _PREPOSITIONS:
            exchanged = [words[0], *words[index + 1 :], words[index], *words[1:index]]
            same = [word.lower() for word in exchanged] == [word.lower() for word in words]
            return None if same else " ".join(exchanged)
    return None


def signature_words(name: str, arguments: Sequence[str]) -> str:
    """A function's name and its first arguments as plain words: `read csv ( file path )`."""
    shown = [split_identifier(argument) for argument in arguments[:_ARGUMENTS_SHOWN]]
    return " ".join(filter(None, [split_identifier(name), "(", *shown, ")"]))


def split_identifier(name: str) -> str:
    """The words in a name: `readCSV_file` gives `read csv file`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+", " ", name)
    return " ".join(spaced.lower().split())


def split_by_package(
    examples: Sequence[Example], dev_share: float = 0.05, test_share: float = 0.1
) -> dict[str, list[Example]]:
    """Train, dev and test examples, each from packages that are in no other.

    Packages go in the order of a checksum of their names, so that a package goes to the same
    part on each machine that has about the same ones. No package larger than the test part
    is taken for it or for dev: the large ones are needed for training.
    """
    sizes = collections.Counter(example.package for example in examples)
    wanted = {"test": test_share * len(examples), "dev": dev_share * len(examples)}
    parts: dict[str, str] = {}
    filled = dict.fromkeys(wanted, 0)
    for package in sorted(sizes, key=lambda name: (zlib.crc32(name.encode()), name)):
        part = next((p for p in wanted if filled[p] + sizes[package] <= wanted[p]), "train")
        parts[package] = part
        if part in filled:
            filled[part] += sizes[package]
    splits: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for example in examples:
        splits[parts[example.package]].append(example)
    return splits


def spread(examples: Sequence[Example], most: int) -> list[Example]:
    """At most so many examples, whole couples, taken at equal distances."""
    couples = [examples[start : start + 2] for start in range(0, len(examples), 2)]
    wanted = min(len(couples), most // 2)
    chosen = [couples[index * len(couples) // wanted] for index in range(wanted)]
    return [example for couple in chosen for example in couple]


def write_tsv(path: pathlib.Path, examples: Iterable[Example]) -> None:
    """Writes columns text, text_pair and label, as `bert-keras finetune` reads them."""
    rows = (f"{example.text}\t{example.text_pair}\t{example.label}\n" for example in examples)
    write_text(path, "text\ttext_pair\tlabel\n" + "".join(rows))
