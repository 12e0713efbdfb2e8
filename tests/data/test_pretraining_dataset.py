"""The stream of batches: the same for any threads and workers, and from any position on."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data import example_stream
from bert_keras.data.pretraining_dataset import bad_input, dataset, evaluation_batches, signature
from bert_keras.data.pretraining_examples import ExampleSettings, Position, StoreExamples
from bert_keras.errors import UserError
from tests.data.corpora import MemoryStore, random_documents

DOCUMENTS = random_documents(60, 20, 14)
BATCH = 24


def make_source(objective: str = "mlm+nsp", masking: str = "token") -> StoreExamples:
    settings = ExampleSettings(seq_length=32, objective=objective, masking=masking, seed=9)
    return StoreExamples(MemoryStore(DOCUMENTS, 8, 2), settings, window_tokens=1500)


def take(count: int, **arguments) -> list[dict[str, np.ndarray]]:
    source = arguments.pop("source", None) or make_source()
    return list(dataset(source, BATCH, **arguments).take(count).as_numpy_iterator())


def assert_same(one: list[dict], other: list[dict]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], name)


@pytest.fixture(scope="module")
def stream() -> list[dict[str, np.ndarray]]:
    """Enough batches for three epochs."""
    return take(60)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_any_number_of_threads_gives_the_same_examples(stream: list, threads: int) -> None:
    assert_same(take(60, reader_threads=threads), stream)


def test_two_workers_read_the_rows_of_one(stream: list) -> None:
    half = BATCH // 2
    first = take(60, shards=((0, half),))
    second = take(60, shards=((half, BATCH),))
    for whole, a, b in zip(stream, first, second, strict=True):
        np.testing.assert_array_equal(a["next_position"], whole["next_position"])
        for name in whole.keys() - {"next_position"}:
            np.testing.assert_array_equal(np.concatenate([a[name], b[name]]), whole[name])


def test_replicas_of_a_worker_are_elements_in_order(stream: list) -> None:
    third = BATCH // 3
    elements = take(60, shards=((third, 2 * third), (2 * third, BATCH)))
    for whole, a, b in zip(stream, elements[::2], elements[1::2], strict=False):
        for name in ("token_ids", "mask_ids", "example_ids"):
            np.testing.assert_array_equal(np.concatenate([a[name], b[name]]), whole[name][third:])


@pytest.mark.parametrize("batch", [0, 1, 13, 30, 44, 58])
def test_a_position_continues_the_stream(stream: list, batch: int) -> None:
    position = Position(*stream[batch]["next_position"].tolist())
    assert_same(take(59 - batch, position=position), stream[batch + 1 :])


def test_the_stream_is_the_epochs_on_end(stream: list) -> None:
    source = make_source()
    lengths = {
        (epoch, window): len(source.window(epoch, window))
        for epoch in range(6)
        for window in range(source.windows())
    }
    expected = ((*key, index) for key, length in lengths.items() for index in range(length))
    names = np.concatenate([batch["example_ids"] for batch in stream])
    assert names.tolist() == [list(each) for each in itertools.islice(expected, len(names))]
    assert names[-1, 0] >= 2, "the test sees several epochs"
    for before, after in itertools.pairwise(stream):
        assert before["next_position"].tolist() == after["example_ids"][0].tolist()


@pytest.mark.parametrize("objective", ["mlm", "mlm+nsp"])
def test_shapes_are_static(objective: str) -> None:
    source = make_source(objective)
    spec = dataset(source, BATCH).element_spec
    assert all(each.shape.is_fully_defined() for each in spec.values())
    element = take(1, source=source)[0]
    assert {name: (each.shape, each.dtype.as_numpy_dtype) for name, each in spec.items()} == {
        name: (values.shape, values.dtype.type) for name, values in element.items()
    }
    assert set(spec) == set(signature(source, BATCH))
    assert ("next_sentence_labels" in spec) == (objective == "mlm+nsp")
    assert ("sequence_ids" in spec) == (objective == "mlm")


def test_evaluation_takes_the_first_examples_and_fills_up_without_weight() -> None:
    source = make_source()
    count = 2 * BATCH + 5
    batches = list(evaluation_batches(source, BATCH, count))
    assert_same(batches, list(evaluation_batches(source, BATCH, count)))
    assert len(batches) == 3
    stream = take(3)
    for batch, expected in zip(batches[:2], stream[:2], strict=True):
        for name in batch.keys() - {"next_position"}:
            np.testing.assert_array_equal(batch[name], expected[name])
    last = batches[2]
    assert all(last[name].shape == stream[2][name].shape for name in last)
    assert not last["mask_weights"][5:].any() and not last["next_sentence_weights"][5:].any()
    np.testing.assert_array_equal(last["mask_weights"][:5], stream[2]["mask_weights"][:5])
    assert last["padding_mask"].any(axis=1).all(), "no row without a token to attend to"
    everything = list(evaluation_batches(source, BATCH, 10**6))
    held = sum(len(source.window(0, number)) for number in range(source.windows()))
    assert sum(int(batch["next_sentence_weights"].sum()) for batch in everything) == held


def test_no_tuner_holds_an_iterator_up() -> None:
    assert dataset(make_source(), BATCH).options().autotune.enabled is False


def test_closing_ends_the_threads() -> None:
    def ours() -> list[str]:
        names = [thread.name for thread in threading.enumerate()]
        return [name for name in names if name.startswith(("make-examples", "prepare-window"))]

    before = len(ours())
    batches = example_stream.batches(make_source(), BATCH, Position(0, 0, 0), ((0, BATCH),), 4)
    next(batches)
    assert len(ours()) > before
    batches.close()
    limit = time.monotonic() + 10
    while len(ours()) > before and time.monotonic() < limit:
        time.sleep(0.01)
    assert len(ours()) == before


@pytest.mark.slow
def test_a_program_that_stops_reading_ends() -> None:
    script = """
import itertools
from tests.data.test_pretraining_dataset import BATCH, make_source
from bert_keras.data.pretraining_dataset import dataset
stream = iter(dataset(make_source(), BATCH, reader_threads=8).prefetch(2))
print(len([next(stream) for _ in range(3)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and done.stdout == "3\n", done.stderr


def test_an_error_while_reading_arrives_as_one_line() -> None:
    source = make_source()
    prepare = source.window

    def broken(epoch: int, window: int):
        if window == 1:
            raise UserError("shard 3: is damaged, expected a whole one")
        return prepare(epoch, window)

    source.window = broken  # type: ignore[method-assign]
    with pytest.raises(tf.errors.OpError) as raised:
        take(60, source=source)
    error = bad_input(raised.value)
    assert isinstance(error, UserError)
    assert str(error) == "shard 3: is damaged, expected a whole one"
    assert bad_input(tf.errors.InternalError(None, None, "something else")) is None


class _Empty:
    """A source without examples."""

    seq_length, predictions, next_sentence, packed = 32, 5, True, False

    def windows(self) -> int:
        return 2

    def window(self, epoch: int, window: int) -> list:
        return []


def test_a_source_without_examples_is_an_error() -> None:
    with pytest.raises(UserError, match="no examples in a whole epoch"):
        next(example_stream.batches(_Empty(), 4, Position(0, 0, 0), ((0, 4),), 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"position": Position(0, 99, 0)}, r"position \(0, 99, 0\): .*expected the data"),
        ({"position": Position(0, -1, 0)}, "position"),
        ({"shards": ((0, 5), (5, 12))}, "row ranges"),
        ({"shards": ((0, BATCH + 1),)}, "row ranges"),
        ({"reader_threads": 0}, "--reader_threads=0"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataset(make_source(), BATCH, **arguments)
