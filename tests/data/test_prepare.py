"""prepare: the tokens are the tokenizer's, and the bytes are the same however it is run."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from bert_keras.data import corpus_text, piece_writer, prepare, sentences, store_writer
from bert_keras.data.prepare import PrepareSettings
from bert_keras.data.store import CorpusStore
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [
    *["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "!", ",", "“", "”", "—", "好", "。"],
    *LETTERS,
    *("##" + letter for letter in LETTERS),
]


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return BertTokenizer(PIECES)


def _story(seed: int, paragraphs: int) -> str:
    choose = random.Random(seed)
    words = ["Mr.", "Café", "ran", "to", "the", "“inn”,", "saw—it", "好。", "stop.", "Go!", "e.g."]
    return "\n\n".join(
        "\n".join(" ".join(choose.choices(words, k=7)) for _ in range(choose.randrange(1, 4)))
        for _ in range(paragraphs)
    )


@pytest.fixture
def corpus(tmp_path) -> pathlib.Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number, count in enumerate((1, 30, 0, 8)):
        (folder / f"{number}.txt").write_text(_story(number, count), encoding="utf-8")
    (folder / "4.txt.gz").write_bytes(gzip.compress(_story(4, 12).encode()))
    return folder


def _digest(folder: pathlib.Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def _prepare(corpus, tokenizer, output, settings=PrepareSettings("blank_line"), threads=1):  # noqa: B008
    return prepare.prepare(f"{corpus}/*", tokenizer, output, settings, threads, piece_bytes=400)


@pytest.mark.parametrize("kind", sentences.KINDS)
@pytest.mark.parametrize("documents", ["file", "blank_line", "line"])
def test_tokens_are_the_tokenizers(tmp_path, corpus, tokenizer, monkeypatch, kind, documents):
    monkeypatch.setattr(piece_writer, "_BATCH_CHARACTERS", 100)
    _prepare(corpus, tokenizer, tmp_path / "store", PrepareSettings(documents, kind))
    store = CorpusStore.open(tmp_path / "store")
    window = store.read_blocks(range(store.blocks))
    texts = [(corpus / f"{n}.txt").read_text(encoding="utf-8") for n in range(4)]
    texts.append(gzip.decompress((corpus / "4.txt.gz").read_bytes()).decode())
    separator = {"file": "\0", "blank_line": "\n\n", "line": "\n"}[documents]
    split = sentences.splitter(kind)
    expected = [split(document) for text in texts for document in text.split(separator)]
    expected = [document for document in expected if document]
    ids = tokenizer.tokenize([sentence for document in expected for sentence in document])
    np.testing.assert_array_equal(window.tokens, ids.flat_values)
    np.testing.assert_array_equal(window.sentences, ids.row_splits)
    assert store.manifest.documents == len(expected)
    sizes = np.bincount(window.documents, np.diff(window.sections))
    assert sizes.tolist() == [len(document) for document in expected]


def test_a_real_book(tmp_path, data):
    tokenizer = BertTokenizer(data / "vocab" / "uncased_30522" / "vocab.txt")
    path = data / "books" / "Jane Austen" / "Pride and Prejudice.md"
    prepare.prepare(str(path), tokenizer, tmp_path / "store", PrepareSettings())
    store = CorpusStore.open(tmp_path / "store")
    window = store.read_blocks(range(store.blocks))
    assert store.blocks == len(window.documents) > 1 and store.manifest.dtype == "uint16"
    # Words, one by one: the sentences are ours, but the tokens of a text are the same whole.
    whole = tokenizer.tokenize([path.read_text(encoding="utf-8")])
    np.testing.assert_array_equal(window.tokens, whole.flat_values)


@settings_of_hypothesis(max_examples=100)
@given(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=6), st.integers(1, 40))
def test_parts_of_a_batch_are_the_batch(size, starts, parts):
    batch = [str(number) for number in range(size)]
    rows = sorted(min(start, size) for start in starts)
    together, found = [], []
    for part, here in piece_writer._parts(batch, rows, parts):
        assert len(part) <= -(-size // parts) and all(0 <= row <= len(part) for row in here)
        found += [row + len(together) for row in here]
        together += part
    assert together == batch and found == rows


def test_any_number_of_threads_writes_the_same_bytes(tmp_path, corpus, tokenizer):
    digests = []
    for threads in (1, 2, 8):
        manifest = _prepare(corpus, tokenizer, tmp_path / str(threads), threads=threads)
        digests.append(_digest(tmp_path / str(threads)))
    assert digests[0] == digests[1] == digests[2] and len(manifest.shards) > 4
    assert not [name for name in digests[0] if name.endswith(".partial")]


def test_json_lines_and_line_ends_of_windows(tmp_path, tokenizer):
    rows = [{"id": 1, "body": "One fish.\n\nGo! Two"}, {"body": " "}, {"body": "Three \ud800 be."}]
    text = "\r\n".join(map(json.dumps, rows))
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    settings = PrepareSettings("jsonl", text_field="body")
    prepare.prepare(f"{tmp_path}/a.jsonl", tokenizer, tmp_path / "store", settings)
    window = (store := CorpusStore.open(tmp_path / "store")).read_blocks([0])
    assert store.manifest.documents == 2 and len(window.sentences) == 5
    expected = tokenizer.tokenize(["One fish. Go! Two Three \ue000 be."])
    np.testing.assert_array_equal(window.tokens, expected.flat_values)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("where", range(0, 60, 7))
def test_stopped_at_any_write_it_goes_on(tmp_path, corpus, tokenizer, monkeypatch, where):
    whole = tmp_path / "whole"
    _prepare(corpus, tokenizer, whole)
    calls = 0

    def failing(function):
        def call(*arguments):
            nonlocal calls
            calls += 1
            if calls == where:
                raise _Killed
            return function(*arguments)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(store_writer.os, "replace", failing(os.replace))
        patched.setattr(store_writer.os, "fsync", failing(os.fsync))
        if where:
            with pytest.raises(_Killed):
                _prepare(corpus, tokenizer, tmp_path / "store")
            with pytest.raises(UserError):
                CorpusStore.open(tmp_path / "store")
    _prepare(corpus, tokenizer, tmp_path / "store")
    assert _digest(tmp_path / "store") == _digest(whole)


def test_finished_shards_are_not_made_again(tmp_path, corpus, tokenizer, monkeypatch):
    output = tmp_path / "store"
    _prepare(corpus, tokenizer, output)
    before = _digest(output)
    (output / "manifest.json").unlink()
    (output / "00001.json").unlink()
    (output / "00003.tokens").write_bytes(b"damaged")
    made = []
    write = piece_writer.PieceWriter.write
    monkeypatch.setattr(
        piece_writer.PieceWriter,
        "write",
        lambda self, number, *rest: made.append(number) or write(self, number, *rest),
    )
    _prepare(corpus, tokenizer, output)
    assert made == [1, 3] and _digest(output) == before
    _prepare(corpus, tokenizer, output)
    assert made == [1, 3]
    # A complete store that was damaged since is made whole.
    (output / "00002.words").touch()
    (output / "00002.blocks").unlink()
    _prepare(corpus, tokenizer, output)
    assert made == [1, 3, 2]


def test_other_settings_or_input_are_refused(tmp_path, corpus, tokenizer):
    output = tmp_path / "store"
    _prepare(corpus, tokenizer, output)

    def refused(message, tokenizer=tokenizer, **settings):
        settings = PrepareSettings(**{"documents": "blank_line", **settings})
        with pytest.raises(UserError, match=message) as error:
            _prepare(corpus, tokenizer, output, settings)
        assert "\n" not in str(error.value)

    refused("made with documents=blank_line, now documents=file", documents="file")
    refused("made with sentences=english, now sentences=line", sentences="line")
    refused("made with cased=False, now cased=True", BertTokenizer(PIECES, lowercase=False))
    refused("made with another vocabulary", BertTokenizer([*PIECES, "more"]))
    (corpus / "0.txt").write_text("Changed.")
    refused("made from other files")
    with pytest.raises(UserError, match="holds other files, expected a new folder"):
        _prepare(corpus, tokenizer, corpus)


def test_bad_values_and_empty_text(tmp_path, tokenizer):
    with pytest.raises(UserError, match="documents='page', expected file or blank_line"):
        PrepareSettings("page")
    (tmp_path / "a.txt").write_text(" \n\n \n")
    with pytest.raises(UserError, match="not one token in 1 file"):
        prepare.prepare(f"{tmp_path}/a.txt", tokenizer, tmp_path / "s", PrepareSettings())


def test_one_folder_one_program(tmp_path, corpus, tokenizer, monkeypatch):
    inside, go = threading.Event(), threading.Event()
    read = corpus_text.read_piece

    def waiting(*arguments, **options):
        inside.set()
        go.wait(20)
        return read(*arguments, **options)

    monkeypatch.setattr(corpus_text, "read_piece", waiting)
    first = threading.Thread(target=_prepare, args=(corpus, tokenizer, tmp_path / "store"))
    first.start()
    assert inside.wait(20)
    with pytest.raises(UserError, match="another prepare is at work there"):
        _prepare(corpus, tokenizer, tmp_path / "store")
    go.set()
    first.join()
    CorpusStore.open(tmp_path / "store").verify()


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_stops_all_threads_and_keeps_what_is_done(tmp_path, corpus, tokenizer, threads):
    good = (corpus / "3.txt").read_bytes()
    (corpus / "3.txt").write_bytes(good[:-1] + b"\xff")
    with pytest.raises(UserError, match=r"3.txt:\d+: byte 0xff is not UTF-8"):
        _prepare(corpus, tokenizer, tmp_path / "store", threads=threads)
    with pytest.raises(UserError, match="incomplete, run the same prepare"):
        CorpusStore.open(tmp_path / "store")
    assert (tmp_path / "store" / "00000.json").exists()


def test_progress_counts_every_byte(tmp_path, corpus, tokenizer):
    told = []

    def run():
        prepare.prepare(
            f"{corpus}/*",
            tokenizer,
            tmp_path / "store",
            PrepareSettings(),
            progress=lambda *counts: told.append(counts),
        )

    run()
    total = sum(path.stat().st_size for path in corpus.iterdir())
    assert told[-1] == (total, total, 0)
    (tmp_path / "store" / "manifest.json").unlink()
    run()
    assert told[-1] == (total, total, total)


def test_marks_of_words(tmp_path):
    pytest.importorskip("jieba", reason="jieba (the extra `chinese`) is not installed")
    pieces = [*PIECES[:5], *"我来到北京清华大学。", "bert", "##s"]
    (tmp_path / "a.txt").write_text("我来到北京清华大学。berts来到北京", encoding="utf-8")
    settings = PrepareSettings(sentences="chinese", segmenter="jieba")
    prepare.prepare(f"{tmp_path}/a.txt", BertTokenizer(pieces), tmp_path / "store", settings)
    window = CorpusStore.open(tmp_path / "store").read_blocks([0])
    words, tokens = [], [pieces[i] for i in window.tokens]
    for token, begins in zip(tokens, window.words, strict=True):
        words = [*words, token] if begins else [*words[:-1], words[-1] + token]
    assert words == ["我", "来到", "北京", "清华大学", "。", "bert##s", "来到", "北京"]
    assert len(window.sentences) == 3


def test_without_jieba_one_line(tmp_path, corpus, tokenizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(UserError, match="jieba is not installed, expected `pip install"):
        _prepare(corpus, tokenizer, tmp_path / "store", PrepareSettings(segmenter="jieba"))


# Prints its size when all is imported and built, then what it is told of its progress.
_PROGRAM = """
import sys
from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.tokenization import BertTokenizer
corpus, vocabulary, output, piece_bytes = sys.argv[1:]
tokenizer = BertTokenizer(vocabulary)
rows = open("/proc/self/smaps_rollup").read().splitlines()
print(sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:")), flush=True)
prepare(corpus, tokenizer, output, PrepareSettings("blank_line"), 2, piece_bytes=int(piece_bytes))
"""


def _start(texts: pathlib.Path, output: pathlib.Path, piece_bytes: int = 1 << 18):
    arguments = [f"{texts}/*.txt", f"{texts}/vocab", str(output), str(piece_bytes)]
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_at_random_moments_the_store_is_the_same(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "vocab").write_text("\n".join(PIECES), encoding="utf-8")
    for number in range(3):
        (texts / f"{number}.txt").write_text(_story(number, 20_000), encoding="utf-8")
    began = time.monotonic()
    whole = _start(texts, tmp_path / "whole")
    whole.communicate()
    assert whole.returncode == 0
    longest = time.monotonic() - began
    choose = random.Random(0)
    for _ in range(4):
        run = _start(texts, tmp_path / "store")
        assert run.stdout is not None
        # The first line comes when the imports are done.
        run.stdout.readline()
        time.sleep(choose.uniform(0, longest / 8))
        run.send_signal(signal.SIGKILL)
        run.stdout.close()
        assert run.wait() == -signal.SIGKILL
    assert 0 < len(list((tmp_path / "store").glob("*.json"))) < len(_digest(tmp_path / "whole"))
    last = _start(texts, tmp_path / "store")
    last.communicate()
    assert last.returncode == 0
    assert _digest(tmp_path / "store") == _digest(tmp_path / "whole")
    CorpusStore.open(tmp_path / "store").verify()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "vocab").write_text("\n".join(PIECES), encoding="utf-8")
    story = _story(0, 20_000)
    with open(texts / "0.txt", "w", encoding="utf-8") as file:
        while file.tell() < 50e6:
            file.write(story)
    run = _start(texts, tmp_path / "store", piece_bytes=16 << 20)
    assert run.stdout is not None
    idle = int(run.stdout.readline())
    peak = 0
    while run.poll() is None:
        peak = max(peak, _pss(run.pid))
        time.sleep(0.1)
    assert run.returncode == 0
    assert peak - idle < 300e6, f"{(peak - idle) / 1e6:.0f} MB more than idle"


def _pss(process: int | str) -> int:
    """Proportional set size in bytes; 0 where the process has gone."""
    try:
        rows = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))
