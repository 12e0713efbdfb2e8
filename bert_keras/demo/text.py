"""The text to pretrain on: docstrings of the training packages, and nothing that test holds."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterable, Sequence

from bert_keras.data.files import write_text
from bert_keras.demo import task
from bert_keras.demo.docstrings import Documented

Document = list[str]

# Every so many documents one is held out, to see how well masks are filled in new text.
_HELD_OUT_EVERY = 50


def documents(functions: Iterable[Documented], unseen: Collection[str]) -> list[Document]:
    """A document for each function: the sentences of its docstring, then its signature.

    So a pair of sentences often is one of prose and a signature, as in the task.

    Functions of the `unseen` packages are left out, and so is every sentence of another package
    that has the words of one of theirs, in whatever order: packages copy from each other.
    """
    functions = list(functions)
    known = {
        task.word_bag(sentence)
        for function in functions
        if function.package in unseen
        for sentence in task.sentences(function.paragraphs)
    }
    found = []
    for function in functions:
        if function.package in unseen:
            continue
        sentences = task.sentences(function.paragraphs)
        kept = [f"{sentence}." for sentence in sentences if task.word_bag(sentence) not in known]
        if kept:
            found.append([*kept, task.signature_words(function.name, function.arguments)])
    return found


def split(found: Sequence[Document]) -> dict[str, list[Document]]:
    """The documents to train on, and a few at equal distances that are held out."""
    held_out = list(found[_HELD_OUT_EVERY // 2 :: _HELD_OUT_EVERY])
    train = [
        document
        for index, document in enumerate(found)
        if index % _HELD_OUT_EVERY != _HELD_OUT_EVERY // 2
    ]
    return {"train": train, "held_out": held_out}


def write(path: pathlib.Path, found: Iterable[Document]) -> None:
    """One sentence a line, blank lines between documents, as `bert-keras prepare` reads them."""
    write_text(path, "\n\n".join("\n".join(document) for document in found) + "\n")
