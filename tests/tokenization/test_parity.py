"""The same ids as the published algorithm, over all of Unicode and on real text."""

from __future__ import annotations

import csv
import json
import pathlib
import random
import subprocess
import sys
from typing import Any

import pytest

# Characters whose treatment depends on others, or that something might drop or split.
TRICKY = [
    *"ΣσςΑα.'’: \u0301\u0334\u0345\u0e31\u200b\x00\x01\x02\x7f\ufffd\u2028\u00a0ǅßİK각힣가aBz中≠",
    *(chr(c) for c in (0x1D15E, 0x1D160, 0x1D165, 0x1D16E, 0x16FF0, 0x1B44, 0x302E, 0xA9C0)),
    *(chr(c) for c in (0xF900, 0x2F800, 0x20000, 0xE000, 0x378, 0x10FFFF)),
]
ALPHABETS = (range(0x80), range(0x250), range(0x370, 0x400), range(0x1E00, 0x2100))


def random_text(rng: random.Random, characters: list[str]) -> str:
    size, kind = rng.randint(0, 40), rng.random()
    if kind < 0.4:
        return "".join(rng.choices(characters, k=size))
    if kind < 0.7:
        return "".join(rng.choices(TRICKY, k=size))
    if kind < 0.92:
        return "".join(chr(rng.choice(rng.choice(ALPHABETS))) for _ in range(size))
    letters = "abXY é中.\u0301한 " if kind < 0.96 else "abé한"
    return "".join(rng.choices(letters, k=rng.randint(150, 450)))


def random_texts(count: int, characters: list[str]) -> list[str]:
    rng = random.Random(14)
    return [random_text(rng, characters) for _ in range(count)]


def assert_same(pair: tuple[Any, Any], texts: list) -> None:
    tokenizer, reference = pair
    for text, ids in zip(texts, tokenizer.tokenize(texts).to_list(), strict=True):
        assert ids == reference.tokenize(text), repr(text)


def test_every_code_point_alone_and_between_letters(complete: Any, characters: list[str]) -> None:
    assert_same(complete, [f"{char} a{char}b" for char in characters])


def test_random_text_when_every_character_counts(complete: Any, characters: list[str]) -> None:
    assert_same(complete, random_texts(1500, characters))


def test_random_text(published: Any, characters: list[str]) -> None:
    assert_same(published, random_texts(1500, characters))


@pytest.mark.slow
def test_much_random_text(published: Any, characters: list[str]) -> None:
    assert_same(published, random_texts(20_000, characters))


@pytest.mark.slow
def test_every_code_point_with_the_published_vocabularies(
    published: Any, characters: list[str]
) -> None:
    assert_same(published, characters)
    assert_same(published, [f"a{char}b" for char in characters])


def test_bytes_that_are_not_utf8_are_ignored(complete: Any) -> None:
    rng = random.Random(0)
    edges = bytes.fromhex("c0c1c2c3dfe0e1edeff0f1f3f4f5ff808f909fa0bf41200201")
    texts = [bytes(rng.choices(edges, k=rng.randint(0, 12))) for _ in range(4000)]
    texts += [bytes([a, b]) for a in range(0x80, 0x100) for b in range(0, 0x100, 3)]
    assert_same(complete, texts)


def squad(data: pathlib.Path) -> tuple[list[str], list[str]]:
    """Questions and their contexts."""
    articles = json.loads((data / "squad" / "dev-v1.1.json").read_text("utf-8"))["data"]
    paragraphs = [p for article in articles for p in article["paragraphs"]]
    rows = [(qa["question"], p["context"]) for p in paragraphs for qa in p["qas"]]
    questions, contexts = zip(*rows, strict=True)
    return list(questions), list(contexts)


def reviews(data: pathlib.Path) -> list[str]:
    path = data / "chinese_sentiment" / "ChnSentiCorp_htl_all.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [row[1] for row in csv.reader(file)]


def test_real_text(published: Any, data: pathlib.Path) -> None:
    questions, contexts = squad(data)
    contexts = list(dict.fromkeys(contexts))
    assert_same(published, [*questions[::16], *contexts[::16], *reviews(data)[::16]])


@pytest.mark.slow
def test_all_real_text(published: Any, data: pathlib.Path) -> None:
    questions, contexts = squad(data)
    assert_same(published, [*questions, *dict.fromkeys(contexts), *reviews(data)])


@pytest.mark.parametrize("max_length", [32, 129])
def test_real_pairs(published: Any, data: pathlib.Path, oracle: Any, max_length: int) -> None:
    tokenizer, reference = published
    questions, contexts = squad(data)
    texts, pairs = questions[::100], [context[:600] for context in contexts[::100]]
    features = {k: v.numpy() for k, v in tokenizer(texts, pairs, max_length=max_length).items()}
    for row, (text, pair) in enumerate(zip(texts, pairs, strict=True)):
        first, second = oracle.truncate(
            reference.tokenize(text), reference.tokenize(pair), max_length - 3
        )
        sep = tokenizer.sep_id
        ids = [tokenizer.cls_id, *first, sep, *second, sep]
        length = features["padding_mask"][row].sum()
        assert features["token_ids"][row, :length].tolist() == ids
        segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
        assert features["segment_ids"][row, :length].tolist() == segments
        assert not features["token_ids"][row, length:].any()


@pytest.mark.slow
def test_the_reference_equals_the_model_gardens_copy(
    data: pathlib.Path, oracle: Any, characters: list[str], tmp_path: pathlib.Path
) -> None:
    """Model Garden ships Google's file (with another limit on word length)."""
    pytest.importorskip("sentencepiece")
    vocab = data / "vocab" / "uncased_30522" / "vocab.txt"
    texts = random_texts(3000, characters)
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    script = (
        "import json, sys\n"
        "from official.nlp.tools import tokenization as t\n"
        f"full = t.FullTokenizer({str(vocab)!r})\n"
        "piece = t.WordpieceTokenizer(full.vocab, max_input_chars_per_word=200)\n"
        f"texts = json.load(open({str(tmp_path / 'texts.json')!r}))\n"
        "ids = [[full.vocab[p] for w in full.basic_tokenizer.tokenize(text)\n"
        "        for p in piece.tokenize(w)] for text in texts]\n"
        f"json.dump(ids, open({str(tmp_path / 'ids.json')!r}, 'w'))\n"
    )
    # In a process of its own, because it imports the legacy Keras.
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    reference = oracle.Oracle(vocab.read_text("utf-8").split("\n")[:-1], True)
    assert json.loads((tmp_path / "ids.json").read_text()) == [
        reference.tokenize(text) for text in texts
    ]
