"""Peak memory of BERT-large (random weights): a forward, a training step, an export.

Each stage runs in a process of its own, whose highest resident set is printed, with the time
from the import to the end. Nothing is downloaded; it needs about 8 GiB of memory and 2 GiB of
disk.

    python benchmarks/large_memory.py --batch_size=8 --length=128
"""

from __future__ import annotations

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bert_keras.tasks import TextClassifier

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_VOCABULARY = 30522


def _classifier(length: int) -> TextClassifier:
    """A TextClassifier as large as BERT-large, over a made-up vocabulary of BERT's size."""
    import bert_keras as bk

    words = [f"word{number}" for number in range(_VOCABULARY - len(_SPECIALS))]
    return bk.tasks.TextClassifier.from_pretrained(
        "size:large",
        labels=["negative", "positive"],
        tokenizer=bk.BertTokenizer([*_SPECIALS, *words]),
        max_length=length,
    )


def _texts(batch_size: int, length: int) -> list[str]:
    """Texts of exactly `length` tokens with their two specials."""
    return [
        " ".join(f"word{(7 * row + column) % 30000}" for column in range(length - 2))
        for row in range(batch_size)
    ]


def imports(batch_size: int, length: int) -> None:
    """Nothing but the import: what every other stage contains."""
    import bert_keras as bk

    assert bk.tasks.TextClassifier


def forward(batch_size: int, length: int) -> None:
    """One prediction."""
    _classifier(length).predict(_texts(batch_size, length))


def training_step(batch_size: int, length: int) -> None:
    """One step of `fit`: forward, backward, AdamW."""
    classifier = _classifier(length)
    classifier.compile()
    labels = [("negative", "positive")[row % 2] for row in range(batch_size)]
    classifier.fit(_texts(batch_size, length), labels, batch_size=batch_size, verbose=0)


def export(batch_size: int, length: int) -> None:
    """One SavedModel, written to a temporary folder."""
    import bert_keras as bk

    with tempfile.TemporaryDirectory() as folder:
        bk.export.save(_classifier(length), str(pathlib.Path(folder) / "large" / "1"))
        files = pathlib.Path(folder).rglob("*")
        size = sum(file.stat().st_size for file in files if file.is_file())
        print(f"| export on disk | {size / 2**30:.2f} | |")


_STAGES = {stage.__name__: stage for stage in (imports, forward, training_step, export)}


def main() -> None:
    """Runs every stage in a fresh process, or one stage in this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--stage", choices=_STAGES)
    arguments = parser.parse_args()
    if arguments.stage is None:
        print("| stage | GiB | seconds |\n|---|---|---|", flush=True)
        for stage in _STAGES:
            subprocess.run([sys.executable, *sys.argv, f"--stage={stage}"], check=True)
        return
    start = time.perf_counter()
    _STAGES[arguments.stage](arguments.batch_size, arguments.length)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB to GiB
    print(f"| {arguments.stage} | {peak:.2f} | {time.perf_counter() - start:.0f} |")


if __name__ == "__main__":
    main()
