"""Ours at many sizes: a case is one size, its time says how the cost grows."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import benchmarks.sides.tensorflow_threads  # noqa: F401, isort: skip
import numpy as np
import tensorflow as tf

import bert_keras as bk
from benchmarks.sides.corpus_text import take
from benchmarks.sides.protocol import Side, threads
from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.models.encoder import BertEncoder
from bert_keras.optimization import AdamW

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class Encoder(Side):
    """A classifier's forward pass and training step by length, batch or number of layers.

    A case is such as "forward 128", of what the work's `axis` names.
    """

    settings = "TextClassifier, mixed_bfloat16, tf.function with static shapes"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._models: dict[int, bk.tasks.TextClassifier] = {}
        self._functions: dict[str, Callable[[], tf.Tensor]] = {}

    def _model(self, layers: int) -> bk.tasks.TextClassifier:
        if layers not in self._models:
            config = bk.BertConfig.named(f"L-{layers}_H-{self.work['hidden']}")
            encoder = BertEncoder(config, dtype="mixed_bfloat16")
            words = [f"word{number}" for number in range(config.vocab_size - len(_SPECIALS))]
            tokenizer = bk.BertTokenizer([*_SPECIALS, *words])
            model = bk.tasks.TextClassifier(encoder, tokenizer, labels=[0, 1], max_length=512)
            optimizer = AdamW(1e-5, clip_norm=1.0)
            optimizer.build(model.trainable_variables)
            model.compile(optimizer=optimizer, weighted_metrics=[])
            self._models[layers] = model
        return self._models[layers]

    def _function(self, case: str) -> Callable[[], tf.Tensor]:
        kind, size = case.split()
        sizes = {**self.work, self.work["axis"]: int(size)}
        model = self._model(sizes["layers"])
        shape = (sizes["batch"], sizes["length"])
        ids = tf.constant(np.random.default_rng(0).integers(1000, 30000, shape), tf.int32)
        features = {
            "token_ids": ids,
            "segment_ids": tf.zeros_like(ids),
            "padding_mask": tf.ones_like(ids),
        }
        labels = tf.zeros(shape[:1], tf.int32)
        if kind == "forward":
            return tf.function(lambda: model(features, training=False))
        return tf.function(lambda: model.update(features, labels).terms["loss"].total)

    def run(self, case: str) -> float:
        if case not in self._functions:
            self._functions[case] = self._function(case)
        self._functions[case]().numpy()
        return 1.0


@contextlib.contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """Keeps this process's threads, those of TensorFlow's pools among them, on so many cores."""

    def keep_on(cores: set[int]) -> None:
        for thread in os.listdir("/proc/self/task"):
            # It may have ended since.
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), cores)

    cores = os.sched_getaffinity(0)
    keep_on(set(sorted(cores)[:count]))
    try:
        yield
    finally:
        keep_on(cores)


class Prepare(Side):
    """`prepare` by megabytes of text, "corpus 4", or by threads with a core each, "threads 2", on
    the same text."""

    settings = "prepare --documents=blank_line"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._tokenizer = bk.BertTokenizer(work["vocab"], lowercase=True)
        self._folder = tempfile.TemporaryDirectory()
        self._texts: dict[float, str] = {}

    def _text(self, megabytes: float) -> str:
        if megabytes not in self._texts:
            path = pathlib.Path(self._folder.name, f"{megabytes}.txt")
            path.write_text(take(self.work["assets"], megabytes), "utf-8")
            self._texts[megabytes] = str(path)
        return self._texts[megabytes]

    def run(self, case: str) -> float:
        kind, size = case.split()
        text = self._text(float(size) if kind == "corpus" else self.work["megabytes"])
        used = int(size) if kind == "threads" else threads()
        with tempfile.TemporaryDirectory() as folder, _on_cores(used):
            store = pathlib.Path(folder, "store")
            pieces = self.work["piece_bytes"]
            # A file that is one document is one piece, and one thread's work.
            settings = PrepareSettings(documents="blank_line")
            prepare(text, self._tokenizer, store, settings, used, piece_bytes=pieces)
        return 1.0


class Tokenization(Side):
    """BertTokenizer by megabytes of text: "text 2"."""

    settings = "BertTokenizer called eagerly with all paragraphs"

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._tokenizer = bk.BertTokenizer(work["vocab"], lowercase=True)
        self._rows: dict[str, list[str]] = {}

    def run(self, case: str) -> float:
        if case not in self._rows:
            text = take(self.work["assets"], float(case.split()[1]))
            self._rows[case] = [part for part in text.split("\n\n") if part]
        self._tokenizer.tokenize(self._rows[case])
        return 1.0
