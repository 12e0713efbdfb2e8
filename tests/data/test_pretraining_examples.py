"""Examples from a store: well-formed, true to the text, and another draw in every epoch."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.masking import MASKINGS
from bert_keras.data.pretraining_examples import OBJECTIVES, ExampleSettings, StoreExamples
from bert_keras.errors import UserError
from tests.data.corpora import CLS, SEP, VOCABULARY, MemoryStore, random_documents
from tests.data.test_masking import restore

DOCUMENTS = random_documents(40, 25, 14)
# Checksums of what was made when the stream was first released.
STREAMS = {
    ("mlm+nsp", "token"): "e16be4ee8902",
    ("mlm+nsp", "whole_word"): "52598658a592",
    ("mlm+nsp", "ngram"): "63bef2a45555",
    ("mlm", "token"): "b4cbea34493b",
    ("mlm", "whole_word"): "0fc31ecac022",
    ("mlm", "ngram"): "7c9a65e8c2b5",
}


def examples(store: MemoryStore | None = None, window_tokens: int = 2**24, **changes):
    changes = {"seq_length": 32, "seed": 5, **changes}
    return StoreExamples(
        store or MemoryStore(DOCUMENTS, 8, 2), ExampleSettings(**changes), window_tokens
    )


def everything(source: StoreExamples, epoch: int = 0) -> dict[str, np.ndarray]:
    """All examples of an epoch."""
    windows = [source.window(epoch, number) for number in range(source.windows())]
    batches = [window.batch(np.arange(len(window))) for window in windows]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def numbered(count: int, size: int) -> tuple[list[list[list[int]]], list[str]]:
    """Documents in which every token of text is another one, and the vocabulary for them."""
    numbers = itertools.count(5)
    random = np.random.default_rng(count)
    documents = [
        [
            [next(numbers) for _ in range(random.integers(1, 9))]
            for _ in range(random.integers(1, size))
        ]
        for _ in range(count)
    ]
    return documents, VOCABULARY[:5] + [f"t{n}" for n in range(next(numbers))]


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["token", "whole_word", "ngram"]),
    st.integers(5, 48),
    st.integers(2, 9),
    st.integers(0, 99),
)
def test_pairs_are_well_formed_and_true_to_the_text(
    masking: str, seq_length: int, count: int, seed: int
) -> None:
    documents, vocabulary = numbered(count, 12)
    store = MemoryStore(documents, 6, 2, vocabulary=vocabulary)
    source = examples(store, masking=masking, seq_length=seq_length, seed=seed)
    batch = everything(source)
    ids, real = restore(batch), batch["padding_mask"].astype(bool)
    document_of = {
        token: number
        for number, document in enumerate(documents)
        for sentence in document
        for token in sentence
    }
    ends = {sentence[-1] for document in documents for sentence in document}
    for row, mask, segments, label in zip(
        ids, real, batch["segment_ids"], batch["next_sentence_labels"], strict=True
    ):
        length = int(mask.sum())
        assert mask[:length].all() and not row[length:].any() and not segments[length:].any()
        assert row[0] == CLS and row[length - 1] == SEP
        middle = row.tolist().index(SEP)
        first, second = row[1:middle].tolist(), row[middle + 1 : length - 1].tolist()
        assert segments.tolist() == [0] * (middle + 1) + [1] * (length - middle - 1) + [0] * (
            seq_length - length
        )
        # Tokens are numbered through: a run without a gap is text without a gap.
        assert first == list(range(first[0], first[0] + len(first))) and first
        assert second == list(range(second[0], second[0] + len(second))) and second
        assert len({document_of[token] for token in first}) == 1
        assert len({document_of[token] for token in second}) == 1
        if label:
            assert document_of[first[0]] != document_of[second[0]]
        else:
            assert document_of[first[0]] == document_of[second[0]]
            gap = set(range(first[-1], second[0]))
            # What lies between was cut off; if nothing was, B begins where A's sentence ends.
            assert second[0] > first[-1] and (len(gap) > 1 or first[-1] in ends)
            if len(gap) > 1:
                assert length == seq_length
    assert (batch["next_sentence_weights"] == 1).all()


def test_the_true_next_sentence_is_the_next_one() -> None:
    # One-token sentences: nothing is cut off, so B is literally what follows.
    documents = [[[5 + (n * 20 + k)] for k in range(20)] for n in range(3)]
    vocabulary = VOCABULARY[:5] + [f"t{n}" for n in range(60)]
    batch = everything(examples(MemoryStore(documents, vocabulary=vocabulary), seq_length=13))
    ids = restore(batch)
    followed = 0
    for row in ids[batch["next_sentence_labels"] == 0]:
        text = [token for token in row.tolist() if token >= 5]
        assert text == list(range(text[0], text[0] + len(text)))
        followed += 1
    assert followed > 2


def test_every_window_and_every_block_is_read_once_in_an_epoch() -> None:
    source = examples(window_tokens=700)
    tokens = source.store.manifest.tokens
    assert source.windows() == round(tokens / 700)
    texts = [source.window(0, number).text for number in range(source.windows())]
    assert sum(len(text.tokens) for text in texts) == tokens
    assert source.store.blocks_read == source.store.blocks
    sizes = [len(text.documents) for text in texts]
    assert max(sizes) - min(sizes) <= 2
    assert examples(window_tokens=1).windows() == source.store.blocks


@pytest.mark.parametrize("objective", ["mlm", "mlm+nsp"])
def test_seeds_and_epochs_differ_and_repeat(objective: str) -> None:
    drawn = [
        everything(examples(objective=objective, seed=seed), epoch)["token_ids"]
        for seed, epoch in [(1, 0), (1, 1), (2, 0), (1, 0)]
    ]
    assert (drawn[0] == drawn[3]).all()
    for one, other in itertools.combinations(drawn[:3], 2):
        same = min(len(one), len(other))
        assert (one[:same] != other[:same]).any(axis=1).mean() > 0.9


@pytest.mark.parametrize(("objective", "masking"), list(itertools.product(OBJECTIVES, MASKINGS)))
def test_the_stream_of_a_seed_never_changes(objective: str, masking: str) -> None:
    # A run of an older version resumes in the middle of this stream.
    source = examples(objective=objective, masking=masking, seq_length=40, seed=11)
    batch = source.window(2, 0).batch(np.arange(20, 52))
    digest = hashlib.sha256()
    for name in sorted(batch):
        digest.update(batch[name].astype("<i4").tobytes())
    assert digest.hexdigest()[:12] == STREAMS[objective, masking]


def test_examples_are_shuffled() -> None:
    window = examples().window(0, 0)
    rises = np.diff(window.plan.first_starts) > 0
    assert 0.4 < rises.mean() < 0.6


@pytest.mark.parametrize("masking", ["token", "whole_word", "ngram"])
def test_packed_rows_hold_every_token_once(masking: str) -> None:
    documents, vocabulary = numbered(12, 10)
    store = MemoryStore(documents, 6, 2, vocabulary=vocabulary)
    batch = everything(examples(store, objective="mlm", masking=masking))
    ids = restore(batch)
    text = ids[ids >= 5].tolist()
    assert sorted(text) == list(range(5, 5 + store.manifest.tokens))
    assert not batch["segment_ids"].any()
    assert "next_sentence_labels" not in batch
    for row, real, positions, pieces in zip(
        ids, batch["padding_mask"], batch["position_ids"], batch["sequence_ids"], strict=True
    ):
        length = int(real.sum())
        assert real[:length].all() and not pieces[length:].any() and not positions[length:].any()
        assert not row[length:].any()
        numbers = pieces[:length]
        assert numbers[0] == 1 and set(np.diff(numbers).tolist()) <= {0, 1}
        for number in range(1, numbers[-1] + 1):
            piece = np.flatnonzero(pieces == number)
            assert row[piece[0]] == CLS and row[piece[-1]] == SEP and len(piece) >= 3
            assert positions[piece].tolist() == list(range(len(piece)))
            inside = row[piece[1:-1]]
            assert (np.diff(inside) == 1).all(), "attention would reach into other text"


def test_whole_words_are_masked_whole() -> None:
    source = examples(masking="whole_word", seq_length=64)
    batch = everything(source)
    continues = source.vocabulary.continues
    ids = restore(batch)
    masked = np.zeros(ids.shape, bool)
    row, slot = np.nonzero(batch["mask_weights"])
    masked[row, batch["mask_positions"][row, slot]] = True
    goes_on = continues[ids] & (np.roll(ids, 1, axis=1) != CLS) & (np.roll(ids, 1, axis=1) != SEP)
    goes_on[:, 0] = False
    assert goes_on.sum() > 1000
    assert (masked == np.roll(masked, 1, axis=1))[goes_on].all()


def test_words_can_be_marked_by_a_segmenter() -> None:
    documents, vocabulary = numbered(3, 30)
    store = MemoryStore(documents, words=True, vocabulary=vocabulary)
    source = examples(store, objective="mlm", masking="whole_word", mask_rate=0.3)
    window = source.window(0, 0)
    words = np.cumsum(window.text.words)
    word_of = dict(zip(window.text.tokens.tolist(), words.tolist(), strict=True))
    batch = window.batch(np.arange(len(window)))
    ids = restore(batch)
    checked = 0
    for row, positions, weights in zip(
        ids, batch["mask_positions"], batch["mask_weights"], strict=True
    ):
        masked = {int(row[position]) for position in positions[weights > 0]}
        for token in row[row >= 5].tolist():
            neighbours = [t for t in row.tolist() if t >= 5 and word_of[t] == word_of[token]]
            at = [row.tolist().index(t) for t in neighbours]
            if max(at) - min(at) == len(at) - 1:
                assert {t in masked for t in neighbours} in ({True}, {False})
                checked += len(neighbours) == 3
    assert checked > 100


def test_a_window_of_one_document_borrows_from_another() -> None:
    long = [[[5] * 6] * 60, [[6] * 6] * 2]
    source = examples(MemoryStore(long, 10, 1), window_tokens=60)
    assert source.windows() > 1
    batch = everything(source)
    random = batch["next_sentence_labels"] == 1
    assert random.any()
    ids, second = restore(batch), batch["segment_ids"] == 1
    for row, mask in zip(ids[random], second[random], strict=True):
        assert len(set(row[mask].tolist()) - {SEP}) == 1
        assert len(set(row[~mask].tolist()) - {CLS, SEP, 0}) == 1
        assert set(row[mask].tolist()) - {SEP} != set(row[~mask].tolist()) - {CLS, SEP, 0}
    assert everything(source)["token_ids"].shape == batch["token_ids"].shape


def test_a_single_document_has_no_random_next_sentence() -> None:
    store = MemoryStore([[[5, 6, 7]] * 9])
    with pytest.raises(UserError, match="corpus: holds a single document.*--objective=mlm"):
        examples(store)
    assert len(everything(examples(store, objective="mlm"))["token_ids"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seq_length": 4}, "--seq_length=4 .*5 to"),
        ({"objective": "nsp"}, "--objective=nsp .*mlm"),
        ({"masking": "word"}, "--masking=word .*whole_word"),
        ({"mask_rate": 0.0}, "--mask_rate=0.0"),
        ({"mask_rate": 1.0}, "--mask_rate=1.0"),
        ({"max_predictions": 33}, "--max_predictions=33 .*1 to 32"),
        ({"max_predictions": 0}, "--max_predictions=0"),
        ({"short_seq_prob": 1.5}, "--short_seq_prob=1.5"),
        ({"max_ngram": 0}, "--max_ngram=0"),
    ],
)
def test_settings_out_of_range_name_their_flag(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ExampleSettings(**{"seq_length": 32, **change})


def test_the_width_of_predictions_is_that_of_a_full_row() -> None:
    widths = [(128, 20), (512, 77), (20, 3), (100, 15), (5, 1)]
    assert [ExampleSettings(seq_length=n).predictions for n, _ in widths] == [p for _, p in widths]
    assert ExampleSettings(seq_length=512, max_predictions=80).predictions == 80
