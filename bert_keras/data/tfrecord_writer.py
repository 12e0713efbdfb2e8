"""Writes examples as TFRecord files in the format of google-research/bert."""

from __future__ import annotations

import glob
import os
import pathlib
from types import TracebackType

import tensorflow as tf

from bert_keras.data.pretraining_examples import Batch
from bert_keras.data.tfrecord import FIELDS, FIELDS_V2
from bert_keras.errors import UserError


class ExampleWriter:
    """Files `PREFIX-00000-of-00008.tfrecord` …, filled in turn, which appear once all are whole.

        with ExampleWriter("data/books", shards=8) as writer:
            writer.write(batch)

    Args:
        prefix: path and beginning of the files' names.
        shards: how many files.
        second_names: write Model Garden's `input_word_ids` and `input_type_ids` in place of
            `input_ids` and `segment_ids`.

    Raises:
        UserError: there are such files already.
    """

    def __init__(self, prefix: str | os.PathLike[str], shards: int, second_names: bool = False):
        self._fields = FIELDS_V2 if second_names else FIELDS
        self.paths = [
            pathlib.Path(f"{os.fspath(prefix)}-{shard:05d}-of-{shards:05d}.tfrecord")
            for shard in range(shards)
        ]
        old = glob.glob(glob.escape(os.fspath(prefix)) + "-?????-of-?????.tfrecord")
        if old:
            raise UserError(
                f"--output={os.fspath(prefix)}: there is {min(old)} already, expected a name "
                "without files"
            )
        self.paths[0].parent.mkdir(parents=True, exist_ok=True)
        self._writers = [tf.io.TFRecordWriter(str(_partial(path))) for path in self.paths]
        self.examples = 0

    def __enter__(self) -> ExampleWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._writers:
            writer.close()
        for path in self.paths:
            if error is None:
                os.replace(_partial(path), path)
            else:
                _partial(path).unlink(missing_ok=True)

    def write(self, batch: Batch) -> None:
        """Appends the examples of a batch of sentence pairs."""
        columns = {name: batch[field.ours].tolist() for name, field in self._fields.items()}
        for row in range(len(batch["token_ids"])):
            features = {name: self._feature(name, values[row]) for name, values in columns.items()}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            self._writers[self.examples % len(self._writers)].write(example.SerializeToString())
            self.examples += 1

    def _feature(self, name: str, value: int | list[int] | list[float]) -> tf.train.Feature:
        values = value if isinstance(value, list) else [value]
        if self._fields[name].dtype == tf.float32:
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _partial(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + ".partial")
