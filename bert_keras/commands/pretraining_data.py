"""The corpora of `bert-keras pretrain`: a store, text, or ready-made examples."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from absl import flags

from bert_keras.checkpoints import open_checkpoint
from bert_keras.commands.progress import ByteProgress
from bert_keras.data import manifest as manifests
from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.data.pretraining_dataset import evaluation_batches, signature
from bert_keras.data.pretraining_examples import (
    ExampleSettings,
    ExampleSource,
    StoreExamples,
)
from bert_keras.data.python_calls import ends_at_exit
from bert_keras.data.store import CorpusStore
from bert_keras.data.tfrecord import TFRecordExamples
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer

Rows = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Data to pretrain or to evaluate on.

    Attributes:
        tokenizer: of the vocabulary that the ids belong to.
        fingerprint: tells whether two runs have the same data.
        description: for people.
        source: makes the examples that settings ask for.
    """

    tokenizer: BertTokenizer
    fingerprint: str
    description: str
    source: Callable[[ExampleSettings], ExampleSource]

    def examples(self, values: flags.FlagValues, seq_length: int, seed: int) -> ExampleSource:
        """The examples of one phase."""
        return self.source(
            ExampleSettings(
                seq_length=seq_length,
                objective=values.objective,
                masking=values.masking,
                mask_rate=values.mask_rate,
                max_predictions=values.max_predictions,
                short_seq_prob=values.short_seq_prob,
                max_ngram=values.max_ngram,
                seed=seed,
            )
        )


def open_corpus(values: flags.FlagValues, flag: str, output_dir: pathlib.Path) -> Corpus:
    """What `--corpus` or `--eval_corpus` names; text is tokenized into a store first.

    Raises:
        UserError: there is no such data, or it cannot be read.
    """
    given = values[flag].value
    path = pathlib.Path(given)
    if (path / manifests.FILE_NAME).exists() or (path / manifests.SETTINGS_FILE).exists():
        return _of_store(CorpusStore.open(path))
    if ".tfrecord" in path.name:
        return _of_records(values, given)
    return _of_text(values, given, output_dir / flag)


def _of_text(values: flags.FlagValues, given: str, folder: pathlib.Path) -> Corpus:
    if values.strategy == "multi_worker":
        raise UserError(
            f"{given}: with --strategy=multi_worker expected a store that all workers can read; "
            "make it with bert-keras prepare"
        )
    progress = ByteProgress("prepare")
    try:
        prepare(
            given,
            tokenizer_of(values),
            folder,
            PrepareSettings(values.documents, values.sentences, text_field=values.text_field),
            len(os.sched_getaffinity(0)),
            progress,
        )
    finally:
        progress.end()
    return _of_store(CorpusStore.open(folder))


def _of_store(store: CorpusStore) -> Corpus:
    manifest = store.manifest
    shards = [
        [record.sha256 for _, record in sorted(shard.files.items())] for shard in manifest.shards
    ]
    fingerprint = _digest([manifest.vocabulary_sha256, manifest.lowercase, shards])
    return Corpus(
        store.tokenizer(),
        fingerprint,
        f"{manifest.tokens:,} tokens, {manifest.sentences:,} sentences, "
        f"{manifest.documents:,} documents",
        lambda settings: StoreExamples(store, settings),
    )


def _of_records(values: flags.FlagValues, given: str) -> Corpus:
    files = sorted(glob.glob(given))
    sizes = [[pathlib.Path(file).name, pathlib.Path(file).stat().st_size] for file in files]
    return Corpus(
        tokenizer_of(values),
        _digest(sizes),
        f"{len(files)} files of examples",
        lambda settings: TFRecordExamples(
            given, settings.seq_length, settings.predictions, settings.seed
        ),
    )


def tokenizer_of(values: flags.FlagValues) -> BertTokenizer:
    """The tokenizer of `--vocab`, or of the checkpoint in `--init`.

    Raises:
        UserError: random weights have none, and --vocab is not given.
    """
    if values.vocab is not None:
        return BertTokenizer(values.vocab, lowercase=not values.cased)
    if values.init.startswith("size:"):
        raise UserError(f"--init={values.init}: --vocab is needed, unless --corpus is a store")
    try:
        return open_checkpoint(values.init).tokenizer()
    except UserError as error:
        raise UserError(f"--init={values.init}: {error}") from None


def _digest(contents: Any) -> str:
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()


def evaluation_dataset(
    source: ExampleSource, size: int, examples: int, rows: Rows
) -> tf.data.Dataset:
    """Held-out batches, each element one of the row ranges."""

    @ends_at_exit
    def elements() -> Iterator[Any]:
        for batch in evaluation_batches(source, size, examples):
            for begin, end in rows:
                yield {
                    name: value if name == "next_position" else value[begin:end]
                    for name, value in batch.items()
                }

    first, last = rows[0]
    return tf.data.Dataset.from_generator(
        elements, output_signature=signature(source, last - first)
    )
