"""Runs that are killed and damaged: each ends bitwise as an unbroken one, or touches nothing.

`BERT_KERAS_DAMAGES=200 pytest -m slow -n 0 tests/training/test_run_damages.py` tries more of them
than the few of the slow tests.
"""

from __future__ import annotations

import os
import pathlib
import random
import shutil

import pytest
from safetensors.numpy import load_file

from bert_keras import cli
from bert_keras.training.run_checkpoints import RunCheckpoints
from tests import small
from tests.training.damages import DAMAGES, damage, snapshot

pytestmark = pytest.mark.slow

_COUNT = int(os.environ.get("BERT_KERAS_DAMAGES", "8"))
# What a run makes anew, or what only tells of it.
_MADE_ANEW = ("tensorboard", "report.html", "metrics.json", "predictions.jsonl", "run.json")


class _Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it or tidy up."""


def _commands(folder: pathlib.Path) -> dict[str, list[str]]:
    train = small.write_tsv(folder / "train.tsv", 32, seed=1)
    dev = small.write_tsv(folder / "dev.tsv", 16, seed=2)
    (folder / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    texts = small.sentences(400, seed=3)[0]
    documents = ["".join(f"{text}.\n" for text in texts[i : i + 8]) for i in range(0, 400, 8)]
    (folder / "corpus.txt").write_text("\n".join(documents))
    vocab = f"--vocab={folder}/vocab.txt"
    prepared = ["--documents=blank_line", vocab, f"--output_dir={folder}/store"]
    assert cli.main(["prepare", f"--corpus={folder}/corpus.txt", *prepared]) == 0
    new = ["--init=size:L-1_H-64", "--seq_length=16"]
    return {
        "finetune": [*new, vocab, f"--train={train}", f"--dev={dev}", "--batch_size=8"]
        + ["--epochs=3", "--checkpoint_every=2", "--learning_rate=1e-3"],
        "pretrain": [*new, f"--corpus={folder}/store", f"--eval_corpus={folder}/store"]
        + ["--batch_size=4", "--steps=12", "--checkpoint_every=3", "--eval_every=4"]
        + ["--steps_per_loop=1", "--peak_tflops=0.1", "--eval_examples=8"],
    }


def _run(verb: str, given: list[str], folder: pathlib.Path) -> int:
    return cli.main([verb, *given, f"--output_dir={folder}"])


def _run_until_killed(verb: str, given: list[str], folder: pathlib.Path, saves: int) -> None:
    """Runs, and dies when it begins to save for the given time."""
    save, count = RunCheckpoints.save, iter(range(1000))

    def dying(self, *arguments, **settings):
        if next(count) == saves:
            raise _Killed
        save(self, *arguments, **settings)
        self.sync()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunCheckpoints, "save", dying)
        try:
            _run(verb, given, folder)
        except _Killed:
            pass


def _damaged(folder: pathlib.Path, chance: random.Random) -> str:
    """Damages one or two files; returns what was done."""
    done = []
    for _ in range(chance.choice([1, 1, 2])):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        path, other = chance.choice(files), chance.choice(files)
        kind = chance.choice(DAMAGES)
        damage(path, kind, chance, other)
        done.append(f"{kind} {path.relative_to(folder)} ({other.relative_to(folder)})")
    return ", ".join(done)


def _problem(verb, given, folder, expected, capfd) -> str | None:
    before = snapshot(folder)
    capfd.readouterr()
    status = _run(verb, given, folder)
    lines = capfd.readouterr().err.splitlines()
    if status == 0:
        found = load_file(folder / "model" / "model.safetensors")
        same = all(found[name].tobytes() == value.tobytes() for name, value in expected.items())
        return None if same and found.keys() == expected.keys() else "another model"
    errors = [line for line in lines if line.startswith(f"bert-keras {verb}: error: ")]
    if status != 2 or len(errors) != 1 or lines[-1] != errors[0]:
        return f"status {status}: {lines[-5:]}"
    after = snapshot(folder)
    touched = [name for name in before | after if before.get(name) != after.get(name)]
    touched = [name for name in touched if not name.startswith(_MADE_ANEW)]
    return f"touched {touched}, though it said {errors}" if touched else None


@pytest.mark.parametrize("verb", ["finetune", "pretrain"])
def test_a_damaged_run_ends_as_an_unbroken_one_or_refuses(tmp_path, capfd, verb):
    given = _commands(tmp_path)[verb]
    assert _run(verb, given, tmp_path / "unbroken") == 0
    expected = load_file(tmp_path / "unbroken" / "model" / "model.safetensors")
    problems, refused = [], 0
    for number in range(_COUNT // 2):
        chance = random.Random(f"{verb} {number}")
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        # The last of them is a run that has ended.
        _run_until_killed(verb, given, folder, chance.randrange(2, 14))
        done = _damaged(folder, chance)
        problem = _problem(verb, given, folder, expected, capfd)
        refused += problem is None and not (folder / "model" / "model.safetensors").exists()
        if problem is not None:
            problems.append(f"number {number}, {done}: {problem}")
    print(f"{verb}: {_COUNT // 2} damages, {len(problems)} problems, {refused} refused")
    assert not problems, f"{len(problems)} of {_COUNT // 2}:\n" + "\n\n".join(problems)
