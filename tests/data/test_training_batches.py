"""The batches of a run: every example once an epoch, the same from any step on."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.training_batches import TrainingBatches
from bert_keras.data.training_examples import LabelledExamples
from tests.data.examples_of_length import examples_of

KINDS = [{}, {"batch_tokens": 100, "batch_size": None}, {"batching": "packed"}]
LENGTHS = np.random.default_rng(0).integers(2, 40, 203).tolist()
LABELS = np.arange(203, dtype=np.int32)


def _batches(**settings) -> TrainingBatches:
    examples = LabelledExamples(examples_of(LENGTHS), LABELS)
    return TrainingBatches(examples, **{"seed": 3, "batch_size": 16, **settings})


def _seen(batch) -> list[int]:
    """The labels, here the examples' numbers, of what has a weight."""
    labels, weights = (*batch[1:], np.ones_like(batch[1]))[:2]
    return np.asarray(labels)[np.asarray(weights) > 0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_holds_every_example_once_and_goes_on_anywhere(kind) -> None:
    batches = _batches(**kind)
    whole = list(batches.dataset(epoch=1))
    assert len(whole) == batches.steps(1) == len(batches.plan(1))
    assert sorted(sum((_seen(batch) for batch in whole), [])) == LABELS.tolist()
    for first in (0, 5, len(whole) - 1, len(whole)):
        rest = list(_batches(**kind).dataset(epoch=1, first_step=first))
        for got, want in zip(rest, whole[first:], strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, got, want)


@pytest.mark.parametrize("kind", [{}, {"batching": "packed"}])
def test_a_batch_is_of_exactly_the_examples_asked_for(kind) -> None:
    sizes = [len(_seen(batch)) for batch in _batches(**kind).dataset(epoch=0)]
    assert sizes == [16] * 12 + [11]


@pytest.mark.parametrize("kind", [{}, {"batching": "packed"}])
def test_without_shuffling_the_order_is_the_examples_own(kind) -> None:
    seen = [_seen(batch) for batch in _batches(shuffle=False, **kind).every_epoch()]
    if kind:
        seen = [sorted(batch) for batch in seen]
    assert sum(seen, []) == LABELS.tolist()
    with pytest.raises(ValueError, match="for shuffled batches"):
        _batches(shuffle=False, batch_tokens=100)


def test_a_budget_of_tokens_is_kept() -> None:
    shapes = [batch[0]["token_ids"].shape for batch in _batches(**KINDS[1]).dataset(epoch=0)]
    assert all(rows * length <= 100 for rows, length in shapes)
    assert max(rows for rows, _ in shapes) > 16


def test_rounded_batches_hold_the_same_in_few_lengths() -> None:
    plain, rounded = _batches(), _batches(rounded=True)
    lengths = set()
    for one, two in zip(plain.dataset(0), rounded.dataset(0), strict=True):
        (one, labels), (two, same) = one, two
        np.testing.assert_array_equal(labels, same)
        columns = one["token_ids"].shape[1]
        lengths.add(two["token_ids"].shape[1])
        for name in one:
            np.testing.assert_array_equal(one[name], two[name][:, :columns])
            assert not np.any(two[name][:, columns:])
    # 39 is the longest of all: no batch is longer.
    assert max(lengths) == max(LENGTHS) == 39
    assert not any(length % 2 for length in lengths if 32 < length < 39)
    shapes = [rounded.examples.shape(indices, True) for indices in rounded.plan(0)]
    assert {length for _, length in shapes} == lengths


def test_packed_rows_have_one_length_and_a_random_order() -> None:
    batches = _batches(batching="packed")
    shapes = {batch[0]["token_ids"].shape[1] for batch in batches.dataset(epoch=0)}
    assert shapes == {batches.row_length} and batches.row_length % 8 == 0
    assert batches.dataset(epoch=0).element_spec[0]["token_ids"].shape[1] == batches.row_length
    means = [np.mean(np.array(LENGTHS)[indices]) for indices in batches.plan(0)[:-1]]
    # Batches sorted by length would differ by up to 38.
    assert max(means) - min(means) < 15


def test_batches_are_made_ahead_with_deterministic_operations(monkeypatch) -> None:
    """What has a state is not: TensorFlow then takes `prefetch` away without a word."""
    tf.config.experimental.enable_op_determinism()
    made, make = [], TrainingBatches.batch
    second = threading.Event()

    def counting(self, indices):
        made.append(indices)
        if len(made) == 2:
            second.set()
        return make(self, indices)

    monkeypatch.setattr(TrainingBatches, "batch", counting)
    iterator = iter(_batches().dataset(epoch=0))
    next(iterator)
    assert second.wait(20)


@pytest.mark.parametrize(
    "settings",
    [{"batching": "other"}, {"batching": "packed", "batch_tokens": 9}, {"batch_size": None}],
)
def test_settings_that_contradict_each_other_are_refused(settings) -> None:
    with pytest.raises(ValueError, match="batch"):
        _batches(**settings)


def test_no_tuner_holds_an_iterator_up() -> None:
    # It sleeps for up to a minute, and freeing the iterator would wait for it.
    assert _batches().dataset(epoch=0).options().autotune.enabled is False
