"""Rows for pretraining, made of books by our own data pipeline; every side reads the files."""

from __future__ import annotations

import glob
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = dict[str, npt.NDArray[Any]]

_BOOKS = 6
_ROWS = 768


def write_rows(folder: str, assets: str, length: int) -> None:
    """Writes `full`, `pairs` and `packed`, each with `length` and `.npz` behind its name.

    `pairs` are examples for masked words and next sentences as they come, with their padding;
    `full` those of them without any; `packed` rows for masked words alone, filled with running
    text. From the first books in the order of their names.
    """
    import bert_keras as bk
    from bert_keras.data.prepare import PrepareSettings, prepare
    from bert_keras.data.pretraining_examples import ExampleSettings, StoreExamples
    from bert_keras.data.store import CorpusStore

    data = pathlib.Path(assets, "data")
    books = sorted(data.glob("books/*/*.md"))[:_BOOKS]
    tokenizer = bk.BertTokenizer(data / "vocab" / "uncased_30522" / "vocab.txt", lowercase=True)
    with tempfile.TemporaryDirectory() as store_folder:
        store_path = pathlib.Path(store_folder)
        pattern = ",".join(glob.escape(str(book)) for book in books)
        prepare(pattern, tokenizer, store_path, PrepareSettings(), threads=1)
        store = CorpusStore.open(store_path)

        def examples(objective: str) -> Rows:
            settings = ExampleSettings(seq_length=length, objective=objective, seed=1)
            window = StoreExamples(store, settings).window(0, 0)
            return window.batch(np.arange(min(len(window), 4 * _ROWS)))

        pairs, packed = examples("mlm+nsp"), examples("mlm")
    is_full = pairs["padding_mask"].all(axis=1)
    _save(folder, f"full{length}", {name: value[is_full] for name, value in pairs.items()})
    _save(folder, f"pairs{length}", pairs)
    _save(folder, f"packed{length}", packed)


def _save(folder: str, name: str, rows: Rows) -> None:
    np.savez(pathlib.Path(folder, f"{name}.npz"), **{key: rows[key][:_ROWS] for key in rows})


class Batches:
    """Batches of a file of rows, one after the other and again from the start."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        with np.load(work["rows"]) as arrays:
            self._arrays = {name: arrays[name] for name in arrays.files}
        self._size, self._place = work["batch"], 0
        count = len(self._arrays["token_ids"])
        if count < self._size:
            raise ValueError(f"{work['rows']} has {count} rows, expected {self._size} or more")
        self._last = count - self._size

    def first(self) -> Rows:
        """The first batch."""
        return {name: array[: self._size] for name, array in self._arrays.items()}

    def next(self) -> Rows:
        """The next batch."""
        if self._place > self._last:
            self._place = 0
        part = slice(self._place, self._place + self._size)
        self._place += self._size
        return {name: array[part] for name, array in self._arrays.items()}


def tokens(batch: Rows) -> float:
    """Tokens of a batch that are not padding."""
    return float(batch["padding_mask"].sum())
