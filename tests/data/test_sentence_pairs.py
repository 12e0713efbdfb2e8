"""Sentence pairs: the published algorithm, checked by following a plan sentence by sentence."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data import random_bits, sentence_pairs
from bert_keras.data.sentence_pairs import SentencePairs, plan_pairs, truncate
from bert_keras.data.window import Window
from tests.data.corpora import random_documents, window_of

DOCUMENTS = st.lists(st.lists(st.integers(1, 15), min_size=1, max_size=14), min_size=2, max_size=6)


def window_with(documents: list[list[int]], section_sentences: int) -> Window:
    """Documents given as lengths of sentences, cut into sections."""
    sections = [
        (number, [[0] * length for length in document[start : start + section_sentences]])
        for number, document in enumerate(documents)
        for start in range(0, len(document), section_sentences)
    ]
    return window_of(sections, words=False)


def untruncated(window: Window, max_tokens: int, short: float, seed: int, **more) -> SentencePairs:
    """A plan whose segments are whole sentences still."""
    with mock.patch.object(sentence_pairs, "truncate", lambda pairs, *_: pairs):
        return plan_pairs(window, max_tokens, short, seed, 0, 0, **more)


def section_of(window: Window, tokens: np.ndarray) -> np.ndarray:
    return np.searchsorted(window.sentences[window.sections], tokens, side="right") - 1


def follow(window: Window, plan: SentencePairs, section: int, most: int, least: int) -> None:
    """Goes through a section's examples as the original does; `least` … `most` is the target."""
    starts = window.sentences
    end = starts[window.sections[section + 1]]
    cursor = starts[window.sections[section]]
    for n in np.flatnonzero(section_of(window, plan.first_starts) == section):
        first, middle = plan.first_starts[n], plan.first_starts[n] + plan.first_lengths[n]
        second, last = plan.second_starts[n], plan.second_starts[n] + plan.second_lengths[n]
        assert first == cursor and {first, middle, second, last} <= set(starts.tolist())
        assert middle > first and last > second
        if plan.random_next[n]:
            cursor = middle
            other = section_of(window, second)
            assert window.documents[other] != window.documents[section]
            reached, missing = last - second, middle - first
            beyond = starts[np.searchsorted(starts, last) - 1] - second
            assert last == starts[window.sections[other + 1]] or reached >= least - missing
            assert beyond == 0 or beyond < most - missing
            # At least one sentence of the chunk was for the true B, unless it had only one.
            next_sentence = starts[np.searchsorted(starts, first) + 1]
            assert middle == next_sentence or starts[np.searchsorted(starts, middle)] - first < most
        else:
            assert second == middle
            cursor = last
            assert last == end or last - first >= least
            assert starts[np.searchsorted(starts, last) - 1] - first < most
    assert cursor == end, "a sentence was left out"


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(1, 14), st.integers(2, 40), st.booleans(), st.integers(0, 99))
def test_every_section_is_walked_as_published(
    documents: list[list[int]], cut: int, max_tokens: int, short: bool, seed: int
) -> None:
    window = window_with(documents, cut)
    plan = untruncated(window, max_tokens, float(short), seed)
    for section in range(len(window.documents)):
        follow(window, plan, section, max_tokens, 2 if short else max_tokens)


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(2, 40), st.integers(0, 99))
def test_no_example_is_too_long_or_one_sided(
    documents: list[list[int]], max_tokens: int, seed: int
) -> None:
    window = window_with(documents, 5)
    plan = plan_pairs(window, max_tokens, 0.1, seed, 0, 0)
    assert (plan.first_lengths >= 1).all() and (plan.second_lengths >= 1).all()
    assert (plan.first_lengths + plan.second_lengths <= max_tokens).all()
    before = untruncated(window, max_tokens, 0.1, seed)
    for name in ("first", "second"):
        start, length = getattr(plan, f"{name}_starts"), getattr(plan, f"{name}_lengths")
        begin, width = getattr(before, f"{name}_starts"), getattr(before, f"{name}_lengths")
        assert (start >= begin).all() and (start + length <= begin + width).all()


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1), st.integers(2, 60))
def test_truncation_takes_from_the_longer_segment(
    lengths: list[tuple[int, int]], max_tokens: int
) -> None:
    first, second = np.array(lengths).T
    zeros = np.zeros(len(first), np.int64)
    pairs = SentencePairs(zeros, first, zeros + 1000, second, zeros > 0)
    cut = truncate(pairs, max_tokens, random_bits.key(0))
    for n, (a, b) in enumerate(lengths):
        while a + b > max_tokens:
            a, b = (a - 1, b) if a > b else (a, b - 1)
        assert (cut.first_lengths[n], cut.second_lengths[n]) == (a, b)
        assert 0 <= cut.first_starts[n] <= first[n] - a
        assert 0 <= cut.second_starts[n] - 1000 <= second[n] - b


def test_each_token_falls_at_the_front_or_the_back_by_a_coin() -> None:
    count = 20_000
    zeros = np.zeros(count, np.int64)
    pairs = SentencePairs(zeros, zeros + 60, zeros, zeros + 50, zeros > 0)
    front = truncate(pairs, 70, random_bits.key(0)).first_starts  # 25 of A's 60 go
    assert front.mean() == pytest.approx(12.5, abs=0.1)
    assert front.var() == pytest.approx(25 / 4, rel=0.05)


def test_shares_are_the_published_ones() -> None:
    documents = [[[0] * 5] * 40] * 4000
    window = window_of(list(enumerate(documents)), words=False)
    plan = untruncated(window, 60, 0.1, 0)
    totals = plan.first_lengths + plan.second_lengths
    opening = np.isin(plan.first_starts, window.sentences[window.sections[:-1]])
    # A true pair is as long as its target, rounded up to whole sentences of 5 tokens; targets
    # 56 to 60 round up to 60 and a target up to 5 leaves one sentence, which has no true pair.
    true_pairs = opening & ~plan.random_next
    assert true_pairs.sum() / 4000 == pytest.approx(0.5, abs=0.04)
    short = totals[true_pairs & (totals < 60)]
    assert len(short) / true_pairs.sum() == pytest.approx(0.1 * 50 / 59, abs=0.03)
    assert np.bincount(short // 5, minlength=12)[2:].min() > 0
    everything = untruncated(window, 60, 1.0, 0)
    lengths = (everything.first_lengths + everything.second_lengths)[~everything.random_next]
    assert lengths.min() == 10 and lengths.max() == 60


def test_another_document_is_drawn_evenly_and_any_sentence_of_it() -> None:
    # Documents 0, 1, 2, each in two sections, mixed; B for document 1 is from 4 sections.
    order = [1, 0, 2, 0, 1, 2]
    window = window_of([(number, [[0] * 2] * 200) for number in order], words=False)
    plans = [untruncated(window, 5, 0.0, seed) for seed in range(20)]
    firsts = np.concatenate([plan.first_starts[plan.random_next] for plan in plans])
    seconds = np.concatenate([plan.second_starts[plan.random_next] for plan in plans])
    of_one = window.documents[section_of(window, firsts)] == 1
    counts = np.bincount(section_of(window, seconds[of_one]), minlength=6)
    assert counts[0] == counts[4] == 0
    expected = counts.sum() / 4
    assert ((counts[[1, 2, 3, 5]] - expected) ** 2 / expected).sum() < 17
    sentences = (seconds // 2) % 200
    assert np.bincount(sentences // 20, minlength=10).min() > 0.8 * len(sentences) / 10


def test_sections_that_lend_are_not_planned() -> None:
    window = window_with([[3] * 20, [4] * 6], 100)
    plan = untruncated(window, 10, 0.1, 0, sections=1)
    assert (section_of(window, plan.first_starts) == 0).all()
    assert (section_of(window, plan.second_starts[plan.random_next]) == 1).all()


def test_another_seed_epoch_or_window_gives_other_pairs() -> None:
    window = window_of(list(enumerate(random_documents(10, 40, 10))), words=False)
    plans = [plan_pairs(window, 40, 0.1, *names) for names in ((0, 0, 0), (1, 0, 0), (0, 1, 0))]
    plans.append(plan_pairs(window, 40, 0.1, 0, 0, 1))
    assert len({tuple(plan.second_starts.tolist()) for plan in plans}) == 4
    again = plan_pairs(window, 40, 0.1, 0, 0, 0)
    assert (again.second_starts == plans[0].second_starts).all()
