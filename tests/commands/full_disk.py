"""Runs the verbs on a disk that is full after n writes; a program, for LD_PRELOAD.

Prints a JSON object for each verb and n: `{"verb": …, "writes": n, "problem": null}`.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import pathlib
import shutil
import sys
import traceback

from bert_keras import cli
from tests import small
from tests.training.damages import snapshot

# What a killed or failed run may leave until the next one.
_LITTER = (".partial", "_temp", "/checkpoints/", "/best/", "tensorboard")


def commands(folder: pathlib.Path) -> dict[str, list[str]]:
    """The arguments of each verb; what it writes lies under `OUT`."""
    train = small.write_tsv(folder / "train.tsv", 32, seed=1)
    (folder / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    texts = small.sentences(400, seed=3)[0]
    documents = ["".join(f"{text}.\n" for text in texts[i : i + 8]) for i in range(0, 400, 8)]
    (folder / "corpus.txt").write_text("\n".join(documents))
    small.classifier().save_pretrained(folder / "model")
    corpus, vocab = f"--corpus={folder}/corpus.txt", f"--vocab={folder}/vocab.txt"
    prepare = [corpus, "--documents=blank_line", vocab]
    assert cli.main(["prepare", *prepare, f"--output_dir={folder}/store"]) == 0
    new = ["--init=size:L-1_H-64", "--seq_length=16"]
    store, model = f"--corpus={folder}/store", f"--model={folder}/model"
    return {
        "vocab": [corpus, "--size=60", "--output=OUT/vocab.txt"],
        "prepare": [*prepare, "--output_dir=OUT"],
        "examples": [store, "--output=OUT/x", "--dupe_factor=1", "--seq_length=16"],
        "pretrain": [*new, store, "--output_dir=OUT", "--peak_tflops=0.1", "--steps=2"]
        + ["--batch_size=4"],
        "finetune": [*new, vocab, f"--train={train}", f"--dev={train}", "--output_dir=OUT"]
        + ["--epochs=1"],
        "predict": [model, f"--input={train}", "--output=OUT/answers.jsonl"],
        "export": [model, "--output=OUT/m/1"],
        "convert": [f"--from={folder}/model", "--to=huggingface", "--output=OUT/c"],
    }


def _run(verb: str, given: list[str]) -> tuple[int | str, list[str]]:
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            status: int | str = cli.main([verb, *given])
        except BaseException:
            status = traceback.format_exc()[-1500:]
    return status, errors.getvalue().splitlines()


def _problem(library: ctypes.CDLL, verb: str, given: list[str], out: pathlib.Path, writes: int):
    """What is wrong with how a verb meets a full disk, None for nothing."""
    before = snapshot(out)
    library.arm(writes, str(out).encode())
    status, lines = _run(verb, given)
    failed = library.has_failed()
    library.arm(-1, b"")
    after = snapshot(out)
    if not failed:
        return None if status == 0 or "already" in lines[-1] else f"{status}: {lines}"
    errors = [line for line in lines if line.startswith(f"bert-keras {verb}: error: ")]
    if status != 2 or len(errors) != 1 or str(out) not in errors[0] or lines[-1] != errors[0]:
        return f"status {status}: {lines[-4:]}"
    changed = [name for name in before if after.get(name) != before[name]]
    changed = [name for name in changed if not any(part in f"/{name}" for part in _LITTER)]
    return f"changed {changed}" if changed else None


def main(library_path: str, folder: str, *counts: str) -> None:
    """Tries every verb in a new folder and in one where it has been before."""
    library = ctypes.CDLL(library_path)
    root = pathlib.Path(folder)
    with contextlib.redirect_stdout(sys.stderr):
        every = commands(root)
    for verb, arguments in every.items():
        out = root / f"out_{verb}"
        given = [argument.replace("OUT", str(out)) for argument in arguments]
        for writes in map(int, counts):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            problem = _problem(library, verb, given, out, writes)
            status, lines = _run(verb, given)
            if problem is None and status != 0 and "already" not in lines[-1]:
                problem = f"afterwards: {status}: {lines[-3:]}"
            if problem is None:
                problem = _problem(library, verb, given, out, writes)
            print(json.dumps({"verb": verb, "writes": writes, "problem": problem}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
