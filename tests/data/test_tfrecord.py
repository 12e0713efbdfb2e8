"""TFRecord files in Google's format: written, read in any order, and what can be wrong."""

from __future__ import annotations

import gzip
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data import tfrecord
from bert_keras.data.pretraining_dataset import dataset, evaluation_batches
from bert_keras.data.pretraining_examples import ExampleSettings, StoreExamples
from bert_keras.data.record_file import RecordFile
from bert_keras.data.tfrecord import TFRecordExamples
from bert_keras.data.tfrecord_writer import ExampleWriter
from bert_keras.errors import UserError
from tests.data.corpora import MemoryStore, random_documents

LENGTH, PREDICTIONS = 32, 5


def made() -> dict[str, np.ndarray]:
    """Examples to write."""
    settings = ExampleSettings(seq_length=LENGTH, max_predictions=PREDICTIONS)
    window = StoreExamples(MemoryStore(random_documents(20, 20, 12)), settings).window(0, 0)
    return window.batch(np.arange(len(window)))


def written(folder: pathlib.Path, shards: int = 1, **arguments) -> dict[str, np.ndarray]:
    """Examples, and files `x-….tfrecord` of them in `folder`."""
    batch = made()
    with ExampleWriter(folder / "x", shards, **arguments) as writer:
        writer.write(batch)
    return batch


def opened(folder: pathlib.Path, seq_length: int = LENGTH, predictions: int = PREDICTIONS, **more):
    return TFRecordExamples(str(folder / "x-*"), seq_length, predictions, **more)


def single(folder: pathlib.Path) -> pathlib.Path:
    return folder / "x-00000-of-00001.tfrecord"


@pytest.mark.parametrize("second_names", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
def test_what_was_written_is_read(tmp_path: pathlib.Path, second_names: bool, shards: int) -> None:
    batch = written(tmp_path, shards, second_names=second_names)
    count = len(batch["token_ids"])
    names = [f"x-{n:05d}-of-{shards:05d}.tfrecord" for n in range(shards)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    source = opened(tmp_path)
    assert len(source) == count
    back = source.read(np.arange(count))
    # Files are filled in turn and read one after the other.
    order = np.concatenate([np.arange(count)[n::shards] for n in range(shards)])
    assert back.keys() == batch.keys()
    for name, values in batch.items():
        assert back[name].dtype == values.dtype
        np.testing.assert_array_equal(back[name], values[order], name)


@pytest.mark.parametrize("second_names", [False, True])
def test_the_original_reads_ours(tmp_path: pathlib.Path, second_names: bool) -> None:
    # The features that run_pretraining.py asks for, and Model Garden with its second names.
    batch = written(tmp_path, second_names=second_names)
    first, second = (
        ("input_word_ids", "input_type_ids")
        if second_names
        else (
            "input_ids",
            "segment_ids",
        )
    )
    spec = {
        first: tf.io.FixedLenFeature([LENGTH], tf.int64),
        "input_mask": tf.io.FixedLenFeature([LENGTH], tf.int64),
        second: tf.io.FixedLenFeature([LENGTH], tf.int64),
        "masked_lm_positions": tf.io.FixedLenFeature([PREDICTIONS], tf.int64),
        "masked_lm_ids": tf.io.FixedLenFeature([PREDICTIONS], tf.int64),
        "masked_lm_weights": tf.io.FixedLenFeature([PREDICTIONS], tf.float32),
        "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
    }
    for row, record in enumerate(tf.data.TFRecordDataset(str(single(tmp_path)))):
        example = tf.io.parse_single_example(record, spec)
        assert (example[first].numpy() == batch["token_ids"][row]).all()
        assert (example["masked_lm_weights"].numpy() == batch["mask_weights"][row]).all()
        assert example["next_sentence_labels"].numpy() == [batch["next_sentence_labels"][row]]
        assert set(tf.train.Example.FromString(record.numpy()).features.feature) == set(spec)


def test_epochs_visit_all_records_in_another_order(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfrecord, "WINDOW_EXAMPLES", 50)
    batch = written(tmp_path, 2)
    source = opened(tmp_path, seed=4)
    assert source.windows() == -(-len(batch["token_ids"]) // 50)

    def epoch(number: int) -> list[bytes]:
        windows = [source.window(number, each) for each in range(source.windows())]
        return [
            row.tobytes()
            for window in windows
            for row in window.batch(np.arange(len(window)))["token_ids"]
        ]

    assert sorted(epoch(0)) == sorted(row.tobytes() for row in batch["token_ids"])
    assert sorted(epoch(1)) == sorted(epoch(0)) and epoch(1) != epoch(0)
    assert epoch(0) == epoch(0)
    stream = [
        each["token_ids"]
        for each in dataset(source, 16).take(-(-len(source) // 16)).as_numpy_iterator()
    ]
    count = len(source)
    assert [row.tobytes() for row in np.concatenate(stream)][:count] == epoch(0)
    held = list(evaluation_batches(source, 16, 40))
    assert [row.tobytes() for each in held for row in each["token_ids"]][:40] == epoch(0)[:40]


def test_a_failure_leaves_no_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RuntimeError), ExampleWriter(tmp_path / "x", 2) as writer:
        writer.write(made())
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_files_that_are_there_are_not_written_over(tmp_path: pathlib.Path) -> None:
    written(tmp_path)
    with pytest.raises(UserError, match="--output=.*00000-of-00001.tfrecord already"):
        ExampleWriter(tmp_path / "x", 5)


def store_record(folder: pathlib.Path, change: Callable[[tf.train.Example], object]) -> None:
    """Replaces record 3 of the only file by a changed one."""
    path = single(folder)
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    example = tf.train.Example.FromString(records[2])
    changed = change(example)
    records[2] = changed if isinstance(changed, bytes) else example.SerializeToString()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def _set(name: str, values: list[int]) -> Callable[[tf.train.Example], None]:
    def change(example: tf.train.Example) -> None:
        example.features.feature[name].int64_list.value[:] = values

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _set("input_ids", [1] * 64),
            r"input_ids has 64 values of int64.*expected 32 \(--seq",
        ),
        (_set("masked_lm_ids", [1]), r"masked_lm_ids has 1 values.*expected 5 \(--max_predictions"),
        (_set("next_sentence_labels", []), "next_sentence_labels has 0 values.*expected 1$"),
        (_set("masked_lm_positions", [0, 32, 0, 0, 0]), "masked_lm_positions has 32, expected 0"),
        (lambda example: example.features.feature.pop("input_mask") and None, "no 'input_mask'"),
        (lambda _: b"no protobuf", "is no tf.train.Example"),
        (lambda _: b"", "is empty"),
    ],
)
def test_a_wrong_record_is_named(tmp_path: pathlib.Path, change, message: str) -> None:
    written(tmp_path)
    store_record(tmp_path, change)
    with pytest.raises(UserError, match=f"x-00000-of-00001.tfrecord: record 3: .*{message}"):
        opened(tmp_path).read(np.arange(10))


@pytest.mark.parametrize(
    ("seq_length", "predictions", "message"),
    [(64, 5, r"record 1: input_ids has 32 .* 64"), (32, 20, r"record 1: masked_lm_pos.* 5 .* 20")],
)
def test_other_sizes_are_found_at_once(
    tmp_path: pathlib.Path, seq_length: int, predictions: int, message: str
) -> None:
    written(tmp_path)
    with pytest.raises(UserError, match=message):
        opened(tmp_path, seq_length, predictions)


def test_damage_is_found_and_named(tmp_path: pathlib.Path) -> None:
    written(tmp_path)
    path = single(tmp_path)
    content = path.read_bytes()
    ends = np.cumsum([len(r.numpy()) + 16 for r in tf.data.TFRecordDataset(str(path))])

    def replaced(place: int) -> None:
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)

    replaced(int(ends[1]) + 100)
    source = opened(tmp_path)
    source.read(np.array([0, 1, 3]))
    with pytest.raises(UserError, match="record 3: its checksum is wrong"):
        source.read(np.array([0, 2]))
    replaced(int(ends[1]) + 9)
    with pytest.raises(UserError, match="record 3: the checksum of its length"):
        opened(tmp_path)
    replaced(int(ends[1]) + 5)  # makes its length enormous
    with pytest.raises(UserError, match="record 3: the checksum of its length"):
        opened(tmp_path)
    for cut in (1, 4, 50):
        path.write_bytes(content[: int(ends[-1]) - cut])
        with pytest.raises(UserError, match=f"record {len(ends)}: the file ends inside of it"):
            opened(tmp_path)
    path.write_bytes(content[: int(ends[4]) + 7])
    with pytest.raises(UserError, match="record 6: the file ends"):
        RecordFile(path)


def test_files_that_cannot_be_used_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"nothing-\*: there is no such file"):
        TFRecordExamples(str(tmp_path / "nothing-*"), LENGTH, PREDICTIONS)
    (tmp_path / "empty").touch()
    with pytest.raises(UserError, match="holds no records"):
        TFRecordExamples([str(tmp_path / "empty")], LENGTH, PREDICTIONS)
    written(tmp_path)
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(single(tmp_path).read_bytes()))
    with pytest.raises(UserError, match="compressed with gzip"):
        TFRecordExamples(str(packed), LENGTH, PREDICTIONS)
    other = tmp_path / "second"
    written(other, second_names=True)
    with pytest.raises(UserError, match="expected files of one kind"):
        TFRecordExamples([str(single(tmp_path)), str(single(other))], LENGTH, PREDICTIONS)
