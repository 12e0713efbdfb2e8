"""The corpus store: what is written is read, in blocks, and damage is found."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_keras.data import store_writer
from bert_keras.data.store import CorpusStore
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer

WORDS = [f"w{i}" for i in range(20)]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return BertTokenizer(PIECES)


sentence_sizes = st.lists(st.integers(0, 9), max_size=12)
corpora = st.lists(sentence_sizes, min_size=1, max_size=20)


def _write(folder, tokenizer, corpus, cuts, marked=False):
    """Shards of one document list each, added in batches that end at any sentence."""
    shards, number = [], 0
    for index, documents in enumerate(corpus):
        sizes = np.array([size for document in documents for size in document], np.int64)
        starts = np.cumsum([0, *(len(document) for document in documents)])[:-1]
        bounds = sorted({0, len(sizes), *(cut % (len(sizes) + 1) for cut in cuts)})
        with store_writer.ShardWriter(folder, f"{index:05d}", "uint16", marked) as writer:
            for low, high in zip(bounds[:-1], bounds[1:], strict=True):
                splits = np.concatenate([[0], np.cumsum(sizes[low:high])])
                ids = np.arange(number, number + splits[-1]) % len(PIECES)
                number += int(splits[-1])
                here = [s - low for s in starts if low <= s < high or s == high == len(sizes)]
                writer.add(ids, splits, here, ids % 2 == 0 if marked else None)
            shards.append(writer.finish())
    store_writer.finish_store(folder, tokenizer, shards, {})


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(corpora, min_size=1, max_size=3), st.lists(st.integers(0, 200), max_size=5))
def test_blocks_give_back_what_was_written(tmp_path_factory, tokenizer, monkeypatch, corpus, cuts):
    monkeypatch.setattr(store_writer, "BLOCK_TOKENS", 25)
    folder = tmp_path_factory.mktemp("store")
    _write(folder, tokenizer, corpus, cuts, marked=True)
    store = CorpusStore.open(folder)
    store.verify()
    kept = [[size for size in document if size] for shard in corpus for document in shard]
    kept = [document for document in kept if document]
    assert store.manifest.documents == len(kept)
    whole = store.read_blocks(range(store.blocks))
    total = sum(map(sum, kept))
    np.testing.assert_array_equal(whole.tokens, np.arange(total) % len(PIECES))
    sizes = [size for document in kept for size in document]
    np.testing.assert_array_equal(whole.sentences, np.cumsum([0, *sizes]))
    _check_sections(whole, kept)
    if total:
        np.testing.assert_array_equal(whole.words, whole.tokens % 2 == 0)
    _check_blocks(store, sum(1 for shard in corpus if any(map(sum, shard))))


def _check_sections(whole, kept):
    """The sections of each document, put together, are its sentences."""
    counts = np.bincount(whole.documents, np.diff(whole.sections), minlength=len(kept))
    assert counts.tolist() == [len(document) for document in kept]
    assert (np.diff(whole.documents) >= 0).all() and (np.diff(whole.sections) > 0).all()


def _check_blocks(store, shards):
    """Every block but a shard's last has 25 tokens, and none could have ended before."""
    small = 0
    for number in range(store.blocks):
        block = store.read_blocks([number])
        begins = block.sentences[block.sections]
        parts = np.diff(begins)
        small += len(block.tokens) < 25
        # Up to the last section there was no reason to cut at a document's end.
        assert begins[-2] < 25
        sizes = np.diff(block.sentences)
        last_sentences = sizes[block.sections[1:] - 1]
        # A part that is long enough ends with the sentence that made it so.
        assert (parts - last_sentences < 25).all()
    assert small <= shards


def test_blocks_in_any_order(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(store_writer, "BLOCK_TOKENS", 10)
    documents = [[" ".join(WORDS[i : i + 5])] * 3 for i in range(9)]
    manifest = store_writer.write_store(tmp_path, tokenizer, documents, documents_per_shard=4)
    store = CorpusStore.open(tmp_path)
    # A document has 15 tokens: [2 sentences] [1 + 2] [1 + 2] [1 + 2] [1], the same, [2] [1].
    assert len(manifest.shards) == 3 and store.blocks == 5 + 5 + 2
    window = store.read_blocks([11, 1])
    assert window.documents.tolist() == [8, 0, 1] and window.words is None
    assert window.sections.tolist() == [0, 1, 2, 4]
    assert window.sentences.tolist() == [0, 5, 10, 15, 20]
    expected = [tokenizer.tokenize([documents[n][0]])[0].numpy() for n in (8, 0, 1, 1)]
    np.testing.assert_array_equal(window.tokens, np.concatenate(expected))
    assert store.read_blocks([]).sections.tolist() == [0]
    assert store.tokenizer().vocabulary == PIECES
    with pytest.raises(UserError, match="block 12, expected 0 to 11"):
        store.read_blocks([12])


def test_ids_beyond_two_bytes(tmp_path):
    pieces = [*PIECES[:5], *(f"v{i}" for i in range(70_000))]
    store_writer.write_store(tmp_path, BertTokenizer(pieces), [["v3 v69999"]])
    store = CorpusStore.open(tmp_path)
    assert store.manifest.dtype == "uint32"
    assert store.read_blocks([0]).tokens.tolist() == [8, 70_004]


@pytest.fixture
def small(tmp_path, tokenizer) -> pathlib.Path:
    store_writer.write_store(tmp_path, tokenizer, [["w1 w2", "w3"], ["w4"]])
    return tmp_path


def _edit(path: pathlib.Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _edit_shard(folder: pathlib.Path, change) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest["shards"][0]["files"])
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda d: (d / "00000.tokens").write_bytes(b"123"), "00000.tokens: 3 bytes, expected 8"),
        (lambda d: (d / "00000.blocks").unlink(), "00000.blocks: cannot be read"),
        (lambda d: (d / "vocab.txt").write_text("other"), "vocab.txt: the checksum differs"),
        (lambda d: (d / "manifest.json").write_text("{"), "not the manifest of a corpus store"),
        (lambda d: _edit(d / "manifest.json", format="x"), "not the manifest"),
        (lambda d: _edit(d / "manifest.json", version=2), "version 2, this program reads"),
        (lambda d: _edit(d / "manifest.json", dtype="int8"), "dtype 'int8', expected uint16"),
        (lambda d: _edit_shard(d, lambda files: files.pop("blocks")), "files .'documents', 'sen"),
        (lambda d: _edit_shard(d, lambda files: files.update(x=files["blocks"])), "'tokens', 'x'"),
        (lambda d: _edit(d / "manifest.json", blocks=9), "blocks is 9, its shards have 1"),
        (lambda d: _edit(d / "manifest.json", tokens=None), "tokens is None, its shards have 4"),
        (lambda d: (d / "manifest.json").unlink(), "has no manifest.json"),
    ],
)
def test_damage_is_one_line(small, damage, message):
    damage(small)
    with pytest.raises(UserError, match=message) as error:
        CorpusStore.open(small)
    assert "\n" not in str(error.value)


def test_missing_and_incomplete(small):
    with pytest.raises(UserError, match="no such folder"):
        CorpusStore.open(small / "none")
    (small / "manifest.json").rename(small / "prepare.json")
    with pytest.raises(UserError, match="incomplete, run the same prepare"):
        CorpusStore.open(small)


def test_verify_reads_every_byte(small):
    tokens = small / "00000.tokens"
    data = bytearray(tokens.read_bytes())
    data[3] ^= 1
    tokens.write_bytes(data)
    store = CorpusStore.open(small)
    with pytest.raises(UserError, match="00000.tokens: the checksum differs"):
        store.verify()


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(tmp_path, tokenizer):
    (tmp_path / "00000.tokens.partial").symlink_to("/dev/full")
    with pytest.raises(UserError, match="00000.tokens.partial: cannot be written .No space"):
        store_writer.write_store(tmp_path, tokenizer, [["w1"]])


@pytest.mark.parametrize(
    ("ending", "numbers"),
    [
        ("blocks", [0, 9]),
        ("documents", [0, 9, 4, 6]),
        ("documents", [1, 2, 4, 6]),
        ("sentences", [0, 2, 1, 6, 8, 10, 12]),
        ("sentences", [0, 2, 4, 6, 8, 10, 99]),
        ("tokens", [25] * 12),
    ],
)
def test_offsets_and_ids_that_cannot_be_are_found(tmp_path, tokenizer, ending, numbers):
    """Damage that keeps sizes: examples would be wrong, or never come to an end."""
    _write(tmp_path, tokenizer, [[[2, 2], [2, 2], [2, 2]]], [])
    CorpusStore.open(tmp_path).read_blocks([0])
    path = tmp_path / f"00000.{ending}"
    dtype = "<u2" if ending == "tokens" else "<u4"
    assert len(path.read_bytes()) == np.array(numbers, dtype).nbytes
    path.write_bytes(np.array(numbers, dtype).tobytes())
    with pytest.raises(UserError, match=rf"00000\.{ending}: holds numbers that prepare does not"):
        CorpusStore.open(tmp_path).read_blocks([0])
