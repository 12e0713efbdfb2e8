"""Damaged input through the command line: answers, or errors of one line, and nothing else.

`BERT_KERAS_MUTATIONS=200 pytest -m slow -n 0 tests/commands/test_mutations.py` tries more of them
than the twenty per subcommand of the slow tests.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import traceback

import pytest

from bert_keras import checkpoints, cli
from bert_keras.tasks import FillMask, QuestionAnswerer, SentenceEmbedder, TokenTagger
from tests import small
from tests.commands.mutations import fresh_copy, mutate

pytestmark = pytest.mark.slow

_COUNT = int(os.environ.get("BERT_KERAS_MUTATIONS", "20"))
_NEW = ("--init=size:L-1_H-64", "--vocab={vocab.txt}", "--seq_length=16", "--epochs=1")
_TRAINED = ("--output_dir={out}", "--batch_size=16")
_STORE = ("--seq_length=16", "--peak_tflops=0.1", "--steps=2", "--batch_size=4")

# The arguments of each subcommand; {name} is an input, one of which is damaged, but for {out}.
_COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "vocab": [
        ("--corpus={corpus.txt}", "--size=60", "--output={out}/vocab.txt"),
        ("--corpus={corpus.jsonl}", "--documents=jsonl", "--size=60", "--output={out}/vocab.txt"),
    ],
    "prepare": [
        ("--corpus={corpus.txt}", "--vocab={vocab.txt}", "--output_dir={out}"),
        (
            "--corpus={corpus.jsonl}",
            "--documents=jsonl",
            "--vocab={vocab.txt}",
            "--output_dir={out}",
        ),
    ],
    "examples": [("--corpus={store}", "--output={out}/x", "--dupe_factor=1", "--seq_length=16")],
    "pretrain": [
        ("--corpus={store}", "--init=size:L-1_H-64", "--output_dir={out}", *_STORE),
        ("--corpus={store}", "--init={fill_mask}", "--output_dir={out}", *_STORE),
        (
            "--corpus={corpus.txt}",
            "--documents=blank_line",
            "--vocab={vocab.txt}",
            "--init=size:L-1_H-64",
            "--output_dir={out}",
            *_STORE,
        ),
    ],
    "finetune": [
        (*_NEW, *_TRAINED, "--train={train.tsv}", "--dev={train.jsonl}"),
        (*_NEW, *_TRAINED, "--train={train.csv}", "--bad_rows=skip"),
        ("--init={classifier}", *_TRAINED, "--train={train.json}", "--epochs=1"),
        (*_NEW, *_TRAINED, "--task=tagging", "--train={tags.conll}", "--dev={tags.jsonl}"),
        (*_NEW, *_TRAINED, "--task=question_answering", "--train={squad.json}"),
        (*_NEW, *_TRAINED, "--task=multiple_choice", "--train={choices.jsonl}"),
        (*_NEW, *_TRAINED, "--task=embedding", "--train={pairs.csv}"),
    ],
    "evaluate": [
        ("--model={classifier}", "--data={train.tsv}"),
        ("--model={classifier}", "--data={train.jsonl}", "--bad_rows=skip"),
        ("--model={tagger}", "--data={tags.conll}"),
        ("--model={question_answerer}", "--data={squad.json}"),
        ("--model={embedder}", "--data={pairs.csv}"),
    ],
    "predict": [
        ("--model={classifier}", "--input={train.csv}", "--output={out}/a.jsonl"),
        ("--model={tagger}", "--input={train.jsonl}", "--output={out}/a.jsonl"),
        ("--model={question_answerer}", "--input={squad.json}", "--output={out}/a.jsonl"),
        ("--model={embedder}", "--input={corpus.txt}", "--output={out}/a.jsonl"),
        ("--model={fill_mask}", "--input={masked.txt}", "--output={out}/a.jsonl"),
    ],
    "export": [
        ("--model={classifier}", "--output={out}/m/1"),
        ("--model={tagger}", "--output={out}/m/1"),
    ],
    "convert": [
        ("--from={classifier}", "--to=google_tf1", "--hidden_act=gelu_new", "--output={out}/c"),
        ("--from={fill_mask}", "--to=huggingface", "--output={out}/c"),
        ("--from={google}", "--to=huggingface", "--output={out}/c"),
        ("--from={doccano.jsonl}", "--to=tagged_sentences", "--output={out}/t.jsonl"),
    ],
}


def _write_data(folder: pathlib.Path) -> None:
    texts, labels = small.sentences(16, seed=1)
    rows = [{"text": a, "label": b} for a, b in zip(texts, labels, strict=True)]
    small.write_tsv(folder / "train.tsv", 16, seed=1)
    lines = [f'"{row["text"]}",{row["label"]}' for row in rows]
    (folder / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "train.json").write_text(json.dumps(rows, indent=1))
    words = [text.split() for text in texts]
    tags = [["B-X" if word in small.WORDS[:6] else "O" for word in one] for one in words]
    columns = [
        "".join(f"{word} {tag}\n" for word, tag in zip(*pair, strict=True))
        for pair in zip(words, tags, strict=True)
    ]
    (folder / "tags.conll").write_text("\n".join(columns))
    tagged = [{"words": a, "tags": b} for a, b in zip(words, tags, strict=True)]
    (folder / "tags.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tagged))
    spans = [
        {"text": text, "label": [[0, len(one[0]), "X"]]}
        for text, one in zip(texts, words, strict=True)
    ]
    (folder / "doccano.jsonl").write_text("".join(json.dumps(row) + "\n" for row in spans))
    questions = [
        {"id": str(i), "question": "is it good", "answers": [{"text": one[0], "answer_start": 0}]}
        for i, one in enumerate(words)
    ]
    paragraphs = [
        {"context": text, "qas": [question]}
        for text, question in zip(texts, questions, strict=True)
    ]
    (folder / "squad.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    choices = [{"context": text, "choices": ["good", "bad"], "label": 0} for text in texts]
    (folder / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in choices))
    pairs = [f"{a},{b},{i % 2}" for i, (a, b) in enumerate(zip(texts, texts[::-1], strict=True))]
    (folder / "pairs.csv").write_text("\n".join(["text,text_pair,score", *pairs]) + "\n")
    (folder / "masked.txt").write_text("".join(f"{text} [MASK]\n" for text in texts))
    paragraphs_ = [". ".join(texts[i : i + 4]) + ".\n" for i in range(0, 16, 4)]
    (folder / "corpus.txt").write_text("\n".join(paragraphs_))
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in paragraphs_)
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> pathlib.Path:
    """A folder with undamaged inputs of every kind."""
    folder = tmp_path_factory.mktemp("good")
    _write_data(folder)
    (folder / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    parts = {"tokenizer": small.tokenizer(), "max_length": 16}
    small.classifier().save_pretrained(folder / "classifier")
    tagger = TokenTagger(small.encoder(), labels=["O", "B-X", "I-X"], **parts)
    tagger.save_pretrained(folder / "tagger")
    QuestionAnswerer(small.encoder(), **parts).save_pretrained(folder / "question_answerer")
    SentenceEmbedder(small.encoder(), **parts).save_pretrained(folder / "embedder")
    FillMask(small.encoder(), **parts).save_pretrained(folder / "fill_mask")
    store = [f"--corpus={folder}/corpus.txt", f"--vocab={folder}/vocab.txt"]
    store += ["--documents=blank_line", f"--output_dir={folder}/store"]
    assert cli.main(["prepare", *store]) == 0
    google = [f"--from={folder}/classifier", "--to=google_tf1", "--hidden_act=gelu_new"]
    assert cli.main(["convert", *google, f"--output={folder}/google"]) == 0
    checkpoints.open_checkpoint(folder / "google")
    return folder


def _inputs(arguments: tuple[str, ...]) -> list[str]:
    names = [part.split("}")[0] for argument in arguments for part in argument.split("{")[1:]]
    return [name for name in names if name != "out"]


def _run(verb: str, given: list[str], capfd: pytest.CaptureFixture[str]) -> str | None:
    """Returns what is wrong with the way in which a command ends; None for nothing."""
    capfd.readouterr()
    try:
        status = cli.main([verb, *given])
    except BaseException:
        return traceback.format_exc()[-1500:]
    lines = capfd.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith(f"bert-keras {verb}: error: ")]
    if status == 0 and not errors:
        return None
    # The error is the last line, and there is one.
    if status == 2 and len(errors) == 1 and lines[-1] == errors[0] and len(errors[0]) < 2000:
        return None
    return f"status {status}: {lines[-8:]}"


@pytest.mark.parametrize("verb", _COMMANDS)
def test_damaged_input_gives_answers_or_one_line(good, tmp_path, capfd, verb):
    problems = []
    for number in range(_COUNT):
        chance = random.Random(f"{verb} {number}")
        arguments = chance.choice(_COMMANDS[verb])
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        places = {"out": tmp_path / "out"}
        for name in _inputs(arguments):
            places[name] = fresh_copy(good / name, tmp_path / "in" / name)
        done = mutate(places[chance.choice(_inputs(arguments))], chance)
        given = list(arguments)
        for name, path in places.items():
            given = [argument.replace("{" + name + "}", str(path)) for argument in given]
        problem = _run(verb, given, capfd)
        if problem is not None:
            problems.append(f"number {number}, {done}, {' '.join(arguments)}: {problem}")
    assert not problems, f"{len(problems)} of {_COUNT}:\n" + "\n\n".join(problems)
