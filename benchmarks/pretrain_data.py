"""Writes the rows that every side of the pretraining comparison reads, in their order.

Five books are held out by name. `bert-keras prepare` makes a corpus of each part, and its
examples for masked words alone are written in their order, epoch after epoch, each epoch cut,
shuffled and masked anew. Only rows filled by one piece, `[CLS] 126 tokens [SEP]`, are kept, as
the other sides know nothing of packed rows.

    python benchmarks/pretrain_data.py --output=rows --rows=200000

needs BERT_KERAS_ASSETS. The directory then holds `token_ids` uint16 [N, 128], `mask_positions`
uint8 [N, 20], `mask_ids` uint16 [N, 20] and `mask_weights` uint8 [N, 20] as .npy files, and below
`evaluation/` the same of the held-out books; the tokenizer lies beside them.
"""

from __future__ import annotations

import argparse
import glob
import itertools
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

import bert_keras as bk
from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.data.pretraining_examples import ExampleSettings, StoreExamples
from bert_keras.data.store import CorpusStore

CHUNK = 4096
KINDS = {
    "token_ids": np.uint16,
    "mask_positions": np.uint8,
    "mask_ids": np.uint16,
    "mask_weights": np.uint8,
}
HELD_OUT = (
    "Arthur Conan Doyle/The Valley of Fear.md",
    "Charles Dickens/Hard Times.md",
    "Jane Austen/Persuasion.md",
    "Jules Verne/Around the Moon.md",
    "Mark Twain/The Prince and the Pauper.md",
)


def examples_of(
    books: Sequence[pathlib.Path], tokenizer: bk.BertTokenizer, folder: pathlib.Path, seed: int
) -> StoreExamples:
    """Examples for masked words, from a store that is made in `folder`."""
    patterns = ",".join(glob.escape(str(book)) for book in books)
    prepare(patterns, tokenizer, folder, PrepareSettings(), threads=2)
    store = CorpusStore.open(folder)
    print(f"{store.manifest.documents} books, {store.manifest.tokens:,} tokens", flush=True)
    return StoreExamples(store, ExampleSettings(objective="mlm", seed=seed))


def chunks(source: StoreExamples) -> Iterator[dict[str, np.ndarray]]:
    """Rows of one full piece, in the order of the endless stream."""
    for epoch in itertools.count():
        for number in range(source.windows()):
            window = source.window(epoch, number)
            for start in range(0, len(window), CHUNK):
                batch = window.batch(np.arange(start, min(start + CHUNK, len(window))))
                kept = (batch["sequence_ids"] == 1).all(axis=1)
                yield {name: batch[name][kept].astype(kind) for name, kind in KINDS.items()}


def rows_of(source: StoreExamples, count: int) -> dict[str, np.ndarray]:
    """The first `count` rows."""
    found: list[dict[str, np.ndarray]] = []
    left = count
    for chunk in chunks(source):
        found.append({name: array[:left] for name, array in chunk.items()})
        left -= len(found[-1]["token_ids"])
        if not left:
            break
    return {name: np.concatenate([chunk[name] for chunk in found]) for name in KINDS}


def write(directory: pathlib.Path, rows: dict[str, np.ndarray]) -> None:
    """One file for each array."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, array in rows.items():
        np.save(directory / f"{name}.npy", array)
    print(f"{directory}: {len(rows['token_ids']):,} rows", flush=True)


def main() -> None:
    """Reads the books and writes both sets of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--evaluation_rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    data = pathlib.Path(os.environ["BERT_KERAS_ASSETS"]) / "data"
    tokenizer = bk.BertTokenizer(data / "vocab" / "uncased_30522" / "vocab.txt", lowercase=True)
    tokenizer.save_pretrained(arguments.output)
    held_out = [data / "books" / name for name in HELD_OUT]
    seen = sorted(set(data.glob("books/*/*.md")) - set(held_out))
    parts = (
        (arguments.output, seen, arguments.rows),
        (arguments.output / "evaluation", held_out, arguments.evaluation_rows),
    )
    for directory, books, count in parts:
        with tempfile.TemporaryDirectory() as folder:
            source = examples_of(books, tokenizer, pathlib.Path(folder), arguments.seed)
            write(directory, rows_of(source, count))


if __name__ == "__main__":
    main()
