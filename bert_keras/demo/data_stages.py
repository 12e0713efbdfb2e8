"""The first stages: from the packages on this machine to text, a task and a vocabulary."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

from bert_keras.demo import corpus as corpora
from bert_keras.demo import task, text
from bert_keras.demo.stages import Result, Stages
from bert_keras.demo.story import Story
from bert_keras.errors import UserError

_ALPHABET = 200


def gather(
    story: Story, stages: Stages, folder: pathlib.Path, roots: Sequence[pathlib.Path]
) -> None:
    """Leaves `corpus.jsonl`, the documented functions of all packages."""
    story.stage("Gather English from the docstrings of the installed packages")

    def work() -> Result:
        corpus = corpora.gather(roots, story.progress)
        corpora.save(corpus, folder / "corpus.jsonl")
        return {
            "files": corpus.files,
            "found": corpus.found,
            "functions": len(corpus.functions),
            "packages": len({function.package for function in corpus.functions}),
            "megabytes": round(corpus.megabytes(), 1),
        }

    outcome = stages.run("corpus", {"roots": list(map(str, roots))}, ["corpus.jsonl"], work)
    story.tell(outcome)
    story.line(
        "{files:,} source files of {packages} packages; {found:,} documented functions, "
        "{functions:,} without repeats; {megabytes} MB of prose".format(**outcome.result)
    )


def make_task(story: Story, stages: Stages, folder: pathlib.Path, most: int) -> list[str]:
    """Leaves `data/`, the labelled examples, and returns the packages of dev and test.

    Raises:
        UserError: there are too few functions.
    """
    story.stage("Make a labelled task of it that word counts cannot solve")

    def work() -> Result:
        examples = task.make_examples(corpora.load(folder / "corpus.jsonl"))
        splits = task.split_by_package(examples)
        splits["train"] = task.spread(splits["train"], most)
        for name, part in splits.items():
            if not part:
                raise UserError(f"demo: too few documented functions for a {name} set")
            task.write_tsv(folder / "data" / f"{name}.tsv", part)
        return {
            "sizes": {name: len(part) for name, part in splits.items()},
            "examples": [dataclasses.astuple(e)[:3] for e in task.spread(splits["test"], 4)],
            "unseen": sorted({e.package for e in splits["dev"] + splits["test"]}),
        }

    outcome = stages.run("task", {"most": most}, ["data"], work)
    story.tell(outcome)
    story.say(
        "Is this sentence, beside the function that it describes, as its author wrote it, or "
        "are the parts around a preposition exchanged? Both have the same words. Train, dev "
        "and test examples come from different packages."
    )
    for sentence, signature, label in outcome.result["examples"]:
        story.line(f"{label:<10}  {sentence}  |  {signature}")
    sizes = ", ".join(f"{count:,} {name}" for name, count in outcome.result["sizes"].items())
    story.line(f"examples: {sizes}")
    unseen: list[str] = outcome.result["unseen"]
    return unseen


def make_vocabulary(
    story: Story, stages: Stages, folder: pathlib.Path, size: int, unseen: Sequence[str]
) -> None:
    """Leaves `text/`, what may be pretrained on, and `vocab.txt`, trained on that alone.

    Raises:
        UserError: there are too few functions.
    """
    story.stage("Train a WordPiece vocabulary on the text of the training packages")
    written = stages.run("text", {}, ["text"], lambda: _write_text(folder, unseen))

    def work() -> Result:
        # Imported here because it takes a moment.
        from bert_keras.tokenization import vocabulary_training

        lines = (folder / "text" / "train.txt").read_text(encoding="utf-8").splitlines()
        tokens = vocabulary_training.train_vocabulary(lines, size, alphabet_size=_ALPHABET)
        vocabulary_training.write_vocabulary(folder / "vocab.txt", tokens)
        return {"tokens": len(tokens), "longest": sorted(tokens, key=len)[-5:]}

    outcome = stages.run("vocabulary", {"size": size}, ["vocab.txt"], work)
    story.tell(outcome)
    story.line(
        "{train:,} docstrings to pretrain on, {held_out:,} held out; nothing of the "
        "{unseen} packages of dev and test".format(**written.result)
    )
    story.line(f"{outcome.result['tokens']:,} tokens in {folder / 'vocab.txt'}")
    story.line(f"the longest: {', '.join(outcome.result['longest'])}")


def _write_text(folder: pathlib.Path, unseen: Sequence[str]) -> Result:
    """`text/train.txt` and `text/held_out.txt`; returns how many documents they have."""
    found = text.documents(corpora.load(folder / "corpus.jsonl"), set(unseen))
    sizes: Result = {"unseen": len(unseen)}
    for name, documents in text.split(found).items():
        # A random next sentence comes from another document.
        if len(documents) < 2:
            raise UserError("demo: too few documented functions to pretrain on")
        text.write(folder / "text" / f"{name}.txt", documents)
        sizes[name] = len(documents)
    return sizes
