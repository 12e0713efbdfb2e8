"""The files of each split, as `bert-keras finetune` reads them, of the data that is compared on.

Files that are ready are named as they are; the others are written, from what was published, into
a folder of their own. A split is a function of the files alone.
"""

from __future__ import annotations

import csv
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

# Of the data's folder, and of a folder to write into, the file of each split, "train" among them.
Splits = Callable[[pathlib.Path, pathlib.Path], dict[str, pathlib.Path]]

# One article, or one review, in so many is for testing.
_FOLDS = 5


def files(**named: str) -> Splits:
    """Splits that are files of their own, by their paths below the data's folder."""
    return lambda data, _: {split: data / path for split, path in named.items()}


def sts_benchmark(data: pathlib.Path, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """STS-B's columns, which have no header: the score is the fifth, then come two sentences."""
    splits = {}
    for split in ("train", "dev"):
        lines = (data / "stsb" / f"sts-{split}.csv").read_text(encoding="utf-8").splitlines()
        rows = [line.split("\t") for line in lines if line]
        table = ["sentence1\tsentence2\tscore"]
        table += [f"{row[5]}\t{row[6]}\t{row[4]}" for row in rows]
        splits[split] = _write(folder / f"{split}.tsv", "\n".join(table) + "\n")
    return splits


def hotel_reviews(data: pathlib.Path, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Every fifth review to test on, the others to train on; the file is sorted by label."""
    source = data / "chinese_sentiment" / "ChnSentiCorp_htl_all.csv"
    with source.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    rows = [row for row in rows if all(field.strip() for field in row)]
    splits = {}
    for split, part in zip(("train", "test"), fifths(rows), strict=True):
        file = _write(folder / f"{split}.csv", "")
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *part])
        splits[split] = file
    return splits


def squad_articles(data: pathlib.Path, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Every fifth article of SQuAD v1.1's dev set and XQuAD's English to test on.

    The other articles train one model for both: without the paragraphs that are XQuAD's, which
    come from the same dev set.
    """
    xquad = data / "squad" / "xquad.en.json"
    seen = {paragraph["context"] for article in _articles(xquad) for paragraph in article}
    train, test = fifths(_articles(data / "squad" / "dev-v1.1.json"))
    kept = [[one for one in article if one["context"] not in seen] for article in train]
    return {
        "train": _write_squad(folder / "train.json", kept),
        "test": _write_squad(folder / "test.json", test),
        "xquad": xquad,
    }


def fifths(items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Four fifths of a sequence, and every fifth item of it."""
    rest = [item for index, item in enumerate(items) if index % _FOLDS != _FOLDS - 1]
    return rest, list(items[_FOLDS - 1 :: _FOLDS])


def _articles(file: pathlib.Path) -> list[list[dict[str, Any]]]:
    """The paragraphs of each article of a SQuAD file."""
    data = json.loads(file.read_text(encoding="utf-8"))["data"]
    return [article["paragraphs"] for article in data]


def _write_squad(file: pathlib.Path, articles: list[list[dict[str, Any]]]) -> pathlib.Path:
    content = {"data": [{"paragraphs": paragraphs} for paragraphs in articles]}
    return _write(file, json.dumps(content))


def _write(file: pathlib.Path, text: str) -> pathlib.Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
