"""Masking: exact counts, nothing but text masked, 80/10/10, every token recoverable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data import random_bits
from bert_keras.data.masking import MASKINGS, Masking, VocabularyIds
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer
from tests.data.corpora import CLS, FIRST_PIECE, MASK, SEP, SPECIALS, VOCABULARY

IDS = VocabularyIds.of(BertTokenizer(VOCABULARY))


def rows_of(count: int, length: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Token ids `[CLS] … [SEP]` of random lengths, candidates, word starts, lengths."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, length + 1, count)
    columns = np.arange(length)
    ids = random.integers(FIRST_PIECE, len(VOCABULARY), (count, length))
    ids = np.where(columns < lengths[:, None], ids, 0).astype(np.int32)
    ids[:, 0], ids[np.arange(count), lengths - 1] = CLS, SEP
    candidates = (columns > 0) & (columns < lengths[:, None] - 1)
    starts = candidates & (~IDS.continues[ids] | (columns == 1))
    return ids, candidates, starts, lengths


def mask(
    rows: tuple[np.ndarray, ...], kind: str, predictions: int = 20, rate: float = 0.15, **keys
):
    ids, candidates, starts, lengths = rows
    row = np.arange(len(ids))
    return Masking(kind, rate, predictions, 3, IDS).apply(
        ids,
        candidates,
        starts,
        lengths,
        random_bits.bits(random_bits.key(keys.get("choice", 1)), row),
        random_bits.bits(random_bits.key(keys.get("action", 2)), row),
    )


def restore(masked: dict[str, np.ndarray]) -> np.ndarray:
    """The token ids before masking."""
    ids = masked["token_ids"].copy()
    row, slot = np.nonzero(masked["mask_weights"])
    ids[row, masked["mask_positions"][row, slot]] = masked["mask_ids"][row, slot]
    return ids


@pytest.mark.parametrize("kind", MASKINGS)
@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(3, 60),
    predictions=st.integers(1, 12),
    rate=st.floats(0.01, 0.9),
    seed=st.integers(0, 99),
)
def test_masks_are_well_formed(
    kind: str, length: int, predictions: int, rate: float, seed: int
) -> None:
    rows = rows_of(20, length, seed)
    ids, candidates, _, lengths = rows
    masked = mask(rows, kind, predictions, rate)
    assert (restore(masked) == ids).all()
    real = masked["mask_weights"] > 0
    assert set(masked["mask_weights"].ravel().tolist()) <= {0.0, 1.0}
    assert not masked["mask_positions"][~real].any() and not masked["mask_ids"][~real].any()
    for n in range(len(ids)):
        positions = masked["mask_positions"][n][real[n]].tolist()
        assert real[n][: len(positions)].all()
        assert positions == sorted(set(positions))
        assert candidates[n, positions].all()
        budget = min(predictions, max(1, round(int(lengths[n]) * rate)))
        if kind == "token":
            assert len(positions) == min(budget, candidates[n].sum())
        else:
            assert len(positions) <= budget


def test_the_budget_rounds_as_the_original() -> None:
    lengths = np.arange(1, 600)
    for rate in (0.15, 0.05, 0.25, 0.5):
        budget = Masking("token", rate, 77, 3, IDS).budget(lengths)
        assert budget.tolist() == [min(77, max(1, int(round(n * rate)))) for n in range(1, 600)]


@pytest.mark.parametrize("kind", MASKINGS)
def test_eighty_ten_ten(kind: str) -> None:
    rows = rows_of(6000, 120)
    masked = mask(rows, kind)
    row, slot = np.nonzero(masked["mask_weights"])
    shown = masked["token_ids"][row, masked["mask_positions"][row, slot]]
    kept = shown == masked["mask_ids"][row, slot]
    # A random piece is [MASK], or the piece itself, once in so many.
    once = 0.1 / len(VOCABULARY)
    assert (shown == MASK).mean() == pytest.approx(0.8 + once, abs=0.007)
    assert kept.mean() == pytest.approx(0.1 + once, abs=0.005)
    random = np.bincount(shown[(shown != MASK) & ~kept], minlength=len(VOCABULARY))
    others = np.delete(random, MASK)
    specials = random[[n for n in range(len(SPECIALS)) if n != MASK]]
    assert others.min() > 0.6 * others.mean(), "every piece of the vocabulary is drawn"
    assert specials.min() > 0.8 * others.mean(), "special ones no less"


def test_every_token_is_as_likely() -> None:
    rows = list(rows_of(1, 60))
    rows = tuple(np.repeat(each, 20_000, axis=0) for each in rows)
    masked = mask(rows, "token", predictions=5)
    counts = np.bincount(
        masked["mask_positions"][masked["mask_weights"] > 0], minlength=rows[0].shape[1]
    )[rows[1][0]]
    expected = counts.mean()
    assert ((counts - expected) ** 2 / expected).sum() < 2 * len(counts)


def test_pieces_of_a_word_are_replaced_one_by_one_and_those_of_an_ngram_together() -> None:
    ids = np.tile(np.array([CLS, *range(5, 25), SEP], np.int32), (3000, 1))
    candidates = (ids != CLS) & (ids != SEP)
    starts = np.zeros_like(candidates)
    starts[:, 1:21:2] = True  # ten words of two tokens
    rows = (ids, candidates, starts, np.full(3000, 22))
    mixed = {}
    for kind in ("whole_word", "ngram"):
        masked = mask(rows, kind, predictions=2)
        assert (masked["mask_weights"].sum(axis=1) == 2).all()
        shown = np.take_along_axis(masked["token_ids"], masked["mask_positions"], axis=1)
        mixed[kind] = ((shown == MASK).sum(axis=1) == 1).mean()
    assert mixed["whole_word"] == pytest.approx(2 * 0.8 * 0.2, abs=0.04)
    assert mixed["ngram"] < 0.01


@pytest.mark.parametrize("kind", MASKINGS)
def test_a_row_does_not_depend_on_its_batch(kind: str) -> None:
    rows = rows_of(30, 50)
    together = mask(rows, kind)
    ids, candidates, starts, lengths = (each[7:9] for each in rows)
    row = np.arange(7, 9)
    keys = [random_bits.bits(random_bits.key(n), row) for n in (1, 2)]
    alone = Masking(kind, 0.15, 20, 3, IDS).apply(ids, candidates, starts, lengths, *keys)
    for name, values in alone.items():
        assert (values == together[name][7:9]).all(), name


def test_other_keys_give_other_masks() -> None:
    rows = rows_of(20, 50)
    first = mask(rows, "token")
    assert (mask(rows, "token", choice=3)["mask_positions"] != first["mask_positions"]).any()
    other = mask(rows, "token", action=3)
    assert (other["mask_positions"] == first["mask_positions"]).all()
    assert (other["token_ids"] != first["token_ids"]).any()


def test_a_vocabulary_without_mask_is_refused() -> None:
    with pytest.raises(UserError, match=r"\[MASK\]"):
        VocabularyIds.of(BertTokenizer([piece for piece in VOCABULARY if piece != "[MASK]"]))
