"""Ready-made examples in TFRecord files, as google-research/bert and Model Garden write them."""

from __future__ import annotations

import functools
import glob
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bert_keras.data import random_bits
from bert_keras.data.pretraining_examples import Batch
from bert_keras.data.random_bits import Purpose
from bert_keras.data.record_file import RecordFile
from bert_keras.errors import UserError

# Examples of a window; a window has no plan, so this only says how positions are counted.
WINDOW_EXAMPLES = 65_536


class Field(NamedTuple):
    """One entry of a stored example: our name, and which size and dtype it has."""

    ours: str
    size: str
    dtype: tf.DType


# The names in the files. Model Garden's version 2 has two of its own.
FIELDS = {
    "input_ids": Field("token_ids", "seq_length", tf.int64),
    "segment_ids": Field("segment_ids", "seq_length", tf.int64),
    "input_mask": Field("padding_mask", "seq_length", tf.int64),
    "masked_lm_positions": Field("mask_positions", "max_predictions", tf.int64),
    "masked_lm_ids": Field("mask_ids", "max_predictions", tf.int64),
    "masked_lm_weights": Field("mask_weights", "max_predictions", tf.float32),
    "next_sentence_labels": Field("next_sentence_labels", "", tf.int64),
}
_SECOND_NAMES = {"input_ids": "input_word_ids", "segment_ids": "input_type_ids"}
FIELDS_V2 = {_SECOND_NAMES.get(name, name): field for name, field in FIELDS.items()}


class TFRecordExamples:
    """Examples from TFRecord files, with the masks as they are stored.

    Every epoch visits all records of all files in another random order.

    Args:
        patterns: names of files, with `*` where wanted; one, or several, or separated by commas.
        seq_length: tokens of every stored example.
        max_predictions: predictions of every stored example.
        seed: of the order.

    Raises:
        UserError: there are no such files, or the first record of one does not fit; what is wrong
            with a later one is found when it is read. Messages name file and record.
    """

    next_sentence = True
    packed = False

    def __init__(
        self,
        patterns: str | Sequence[str],
        seq_length: int,
        max_predictions: int,
        seed: int = 0,
    ):
        self.seq_length = seq_length
        self.predictions = max_predictions
        self.seed = seed
        self.files = [RecordFile(path) for path in _paths(patterns)]
        self._bounds = np.cumsum([0, *map(len, self.files)])
        if not self._bounds[-1]:
            raise UserError(f"{patterns}: holds no records, expected examples")
        self.fields = self._find_fields()
        self._spec = {
            name: tf.io.FixedLenFeature([self.size(field)], field.dtype)
            for name, field in self.fields.items()
        }

    def size(self, field: Field) -> int:
        """Values of a field."""
        return {"seq_length": self.seq_length, "max_predictions": self.predictions}.get(
            field.size, 1
        )

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def windows(self) -> int:
        """Windows of an epoch."""
        return -(-len(self) // WINDOW_EXAMPLES)

    def window(self, epoch: int, window: int) -> RecordWindow:
        """The records of one window."""
        order = self._order(epoch)
        return RecordWindow(self, order[window * WINDOW_EXAMPLES :][:WINDOW_EXAMPLES])

    @functools.lru_cache(maxsize=2)  # noqa: B019  a source lives as long as its program
    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        order_key = random_bits.key(self.seed, Purpose.RECORD_ORDER, epoch)
        return random_bits.permutation(order_key, len(self))

    def read(self, records: npt.NDArray[np.integer]) -> Batch:
        """The records of those numbers, counted over all files, as arrays.

        Raises:
            UserError: one is damaged or of another form; names its file and number.
        """
        stored = self._bytes_of(records)
        try:
            with tf.device("CPU:0"):
                parsed = tf.io.parse_example(tf.constant(stored), self._spec)
        except tf.errors.InvalidArgumentError:
            self._explain(records, stored)
            raise
        batch = {}
        for name, field in self.fields.items():
            values = parsed[name].numpy()
            batch[field.ours] = values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
        batch["next_sentence_labels"] = batch["next_sentence_labels"][:, 0]
        batch["next_sentence_weights"] = np.ones(len(records), np.float32)
        self._check_positions(records, batch["mask_positions"])
        return batch

    def _bytes_of(self, records: npt.NDArray[np.integer]) -> list[bytes]:
        stored: list[bytes] = [b""] * len(records)
        owners = np.searchsorted(self._bounds, records, side="right") - 1
        for owner in np.unique(owners).tolist():
            places = np.flatnonzero(owners == owner)
            found = self.files[owner].read(records[places] - self._bounds[owner])
            for place, each in zip(places.tolist(), found, strict=True):
                stored[place] = each
        return stored

    def _where(self, record: int) -> str:
        owner = int(np.searchsorted(self._bounds, record, side="right")) - 1
        return self.files[owner].where(record - int(self._bounds[owner]))

    def _find_fields(self) -> dict[str, Field]:
        """The names that the files use, from the first record of each."""
        found: dict[str, Field] = {}
        for file in filter(len, self.files):
            example = _parse(file.read([0])[0], file.where(0))
            fields = FIELDS_V2 if "input_word_ids" in example.features.feature else FIELDS
            self._check(example, fields, file.where(0))
            if found and fields is not found:
                raise UserError(
                    f"{file.where(0)}: has {next(iter(fields))} where other files have "
                    f"{next(iter(found))}, expected files of one kind"
                )
            found = fields
        return found

    def _check(self, example: tf.train.Example, fields: dict[str, Field], where: str) -> None:
        """That an example has all fields, each of its size and dtype."""
        features = example.features.feature
        for name, field in fields.items():
            if name not in features:
                raise UserError(
                    f"{where}: has no {name!r} (but {', '.join(sorted(features)) or 'nothing'}), "
                    "expected an example of create_pretraining_data.py"
                )
            kind = "int64_list" if field.dtype == tf.int64 else "float_list"
            count, expected = len(getattr(features[name], kind).value), self.size(field)
            if count != expected:
                flag = f" (--{field.size})" if field.size else ""
                raise UserError(
                    f"{where}: {name} has {count} values of {kind}, expected {expected}{flag}"
                )

    def _explain(self, records: npt.NDArray[np.integer], stored: Sequence[bytes]) -> None:
        """Raises for the first record that is not as it should be."""
        for record, each in zip(records.tolist(), stored, strict=True):
            where = self._where(record)
            self._check(_parse(each, where), self.fields, where)

    def _check_positions(
        self, records: npt.NDArray[np.integer], positions: npt.NDArray[np.int32]
    ) -> None:
        wrong = np.argwhere((positions < 0) | (positions >= self.seq_length))
        if len(wrong):
            row, slot = wrong[0]
            raise UserError(
                f"{self._where(int(records[row]))}: masked_lm_positions has {positions[row, slot]}"
                f", expected 0 to {self.seq_length - 1}"
            )


class RecordWindow:
    """Some records of a `TFRecordExamples`, in the order given."""

    def __init__(self, source: TFRecordExamples, records: npt.NDArray[np.int64]):
        self._source = source
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def batch(self, indices: npt.NDArray[np.integer]) -> Batch:
        """The examples at `indices`: int32 (weights: float32) with the batch as dimension 0."""
        return self._source.read(self._records[indices])


def _paths(patterns: str | Sequence[str]) -> list[str]:
    """Files, each pattern's in the order of their names.

    Raises:
        UserError: a pattern matches nothing.
    """
    parts = patterns.split(",") if isinstance(patterns, str) else patterns
    paths = []
    for pattern in parts:
        found = sorted(glob.glob(pattern))
        if not found:
            raise UserError(f"{pattern}: there is no such file, expected TFRecords")
        paths += found
    return paths


def _parse(record: bytes, where: str) -> tf.train.Example:
    try:
        return tf.train.Example.FromString(record)
    except Exception:  # protobuf's DecodeError, whose module depends on its version
        raise UserError(f"{where}: is no tf.train.Example") from None
