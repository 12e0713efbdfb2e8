"""Writes the rows that every side of the pretraining comparison reads, in their order.

Five books are held out by name. The others are cut, in several passes that begin at different
offsets, into pieces of 126 tokens between [CLS] and [SEP]; each pass has its own order and its
own masks: 15 % of the tokens, of which 80 % become [MASK], 10 % a random token and 10 % stay.

    python benchmarks/pretrain_data.py --output=rows --rows=200000

needs BERT_KERAS_ASSETS. The directory then holds `token_ids` uint16 [N, 128], `mask_positions`
uint8 [N, 20], `mask_ids` uint16 [N, 20] and `mask_weights` uint8 [N, 20] as .npy files, and below
`evaluation/` the same of the held-out books.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re

import numpy as np

import bert_keras as bk

LENGTH = 128
PREDICTIONS = 20
MASKED = 19  # round(0.15 * 128), as google-research/bert counts, with the specials
PIECE = LENGTH - 2
HELD_OUT = (
    "Arthur Conan Doyle/The Valley of Fear.md",
    "Charles Dickens/Hard Times.md",
    "Jane Austen/Persuasion.md",
    "Jules Verne/Around the Moon.md",
    "Mark Twain/The Prince and the Pauper.md",
)


def tokens_of(tokenizer: bk.BertTokenizer, book: pathlib.Path) -> np.ndarray:
    """Token ids of a book without specials, paragraph after paragraph, uint16."""
    paragraphs = re.split(r"\n\s*\n", book.read_text(encoding="utf-8"))
    return tokenizer.tokenize(paragraphs).flat_values.numpy().astype(np.uint16)


def pieces(books: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """Full pieces `[n, 126]` of all books, each book begun at a random offset."""
    found = []
    for tokens in books:
        begun = tokens[generator.integers(PIECE) :]
        count = len(begun) // PIECE
        found.append(begun[: count * PIECE].reshape(count, PIECE))
    return np.concatenate(found)


def masked_rows(
    tokenizer: bk.BertTokenizer, framed: np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Rows of pieces: framed by specials, which are never masked, and masked."""
    count = len(framed)
    rows = np.empty((count, LENGTH), np.uint16)
    rows[:, 0], rows[:, 1:-1], rows[:, -1] = tokenizer.cls_id, framed, tokenizer.sep_id
    chosen = np.argsort(generator.random((count, PIECE)), axis=1)[:, :MASKED] + 1
    positions = np.zeros((count, PREDICTIONS), np.uint8)
    positions[:, :MASKED] = np.sort(chosen, axis=1)
    weights = np.zeros((count, PREDICTIONS), np.uint8)
    weights[:, :MASKED] = 1
    taken = positions[:, :MASKED].astype(np.int64)
    originals = np.take_along_axis(rows, taken, axis=1)
    labels = np.zeros((count, PREDICTIONS), np.uint16)
    labels[:, :MASKED] = originals
    draw = generator.random(originals.shape)
    random_words = generator.integers(tokenizer.vocab_size, size=originals.shape)
    replaced = np.where(draw < 0.8, tokenizer.mask_id, random_words)
    shown = np.where(draw < 0.9, replaced, originals).astype(np.uint16)
    np.put_along_axis(rows, taken, shown, axis=1)
    return {
        "token_ids": rows,
        "mask_positions": positions,
        "mask_ids": labels,
        "mask_weights": weights,
    }


def training_rows(
    tokenizer: bk.BertTokenizer, books: list[np.ndarray], count: int, seed: int
) -> dict[str, np.ndarray]:
    """As many passes as it takes, each in its own order."""
    passes: list[np.ndarray] = []
    generator = np.random.default_rng(seed)
    while sum(map(len, passes)) < count:
        passes.append(generator.permutation(pieces(books, generator)))
        print(f"pass {len(passes)}: {len(passes[-1]):,} rows", flush=True)
    return masked_rows(tokenizer, np.concatenate(passes)[:count], generator)


def evaluation_rows(
    tokenizer: bk.BertTokenizer, books: list[np.ndarray], count: int, seed: int
) -> dict[str, np.ndarray]:
    """Equally many rows of each book, spread evenly over it."""
    generator = np.random.default_rng([seed, 1])
    each = []
    for book in books:
        found = pieces([book], generator)
        each.append(found[np.linspace(0, len(found) - 1, count // len(books)).astype(int)])
    return masked_rows(tokenizer, np.concatenate(each), generator)


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
    names = sorted(str(path.relative_to(data / "books")) for path in data.glob("books/*/*.md"))
    books = {name: tokens_of(tokenizer, data / "books" / name) for name in names}
    held_out = [books.pop(name) for name in HELD_OUT]
    print(f"{sum(map(len, books.values())):,} training tokens", flush=True)
    seen = list(books.values())
    write(arguments.output, training_rows(tokenizer, seen, arguments.rows, arguments.seed))
    held = evaluation_rows(tokenizer, held_out, arguments.evaluation_rows, arguments.seed)
    write(arguments.output / "evaluation", held)


if __name__ == "__main__":
    main()
