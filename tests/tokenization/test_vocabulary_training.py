"""Training a WordPiece vocabulary: order, repeatability, alphabet, and what it refuses."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer
from bert_keras.tokenization.vocabulary_training import (
    SPECIAL_TOKENS,
    train_vocabulary,
    write_vocabulary,
)

TEXTS = [
    "The lighthouse keeper lights the light at night.",
    "Lighter nights are brighter, said the light keeper.",
    "Ein Café für Zoë: 12 crème brûlées!",
] * 3


def test_special_tokens_come_first_then_the_sorted_alphabet() -> None:
    tokens = train_vocabulary(TEXTS, size=200)
    assert tokens[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = [token for token in tokens[5:] if len(token) == 1]
    assert alphabet == tokens[5 : 5 + len(alphabet)] == sorted(alphabet)
    assert len(set(tokens)) == len(tokens)


def test_frequent_words_become_tokens_and_rare_pairs_do_not() -> None:
    tokens = train_vocabulary(TEXTS, size=1000)
    assert {"light", "night", "keeper"} <= set(tokens)
    once = train_vocabulary(["zebra", "apple apple"], size=1000)
    assert "apple" in once
    assert "zebra" not in once


def test_lower_case_strips_accents_and_cased_keeps_them() -> None:
    uncased = "".join(train_vocabulary(TEXTS, size=300)[5:])
    assert uncased == uncased.lower()
    assert not set("éûZ") & set(uncased)
    cased = set(train_vocabulary(TEXTS, size=300, lowercase=False))
    assert {"é", "û", "Z", "T"} <= cased


def test_punctuation_and_chinese_only_start_words() -> None:
    tokens = train_vocabulary(["好的, yes!", "yes, 好!"], size=100)
    assert {"好", ",", "!", "##e"} <= set(tokens)
    assert not {"##好", "##,", "##!"} & set(tokens)


def test_size_bounds_the_vocabulary() -> None:
    assert len(train_vocabulary(TEXTS, size=90)) == 90


def test_characters_beyond_the_alphabet_are_left_out_the_rarest_first() -> None:
    texts = ["aaa λλλ μμ ν"] * 2
    tokens = train_vocabulary(texts, size=50, alphabet_size=3)
    assert {"a", "λ", "μ"} <= set(tokens)
    assert "ν" not in "".join(tokens)


def test_two_processes_with_other_hash_seeds_and_threads_agree(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "train.py"
    # By its path, because importing it from its package would load TensorFlow twice more.
    script.write_text(
        "import random, runpy, sys\n"
        "module = runpy.run_path(sys.argv[2])\n"
        "random.seed(1)\n"
        "words = [''.join(random.choices('abcdefghijé好', k=5)) for _ in range(3000)]\n"
        "texts = [' '.join(words[i:i + 30]) for i in range(0, 3000, 10)]\n"
        "module['write_vocabulary'](sys.argv[1], module['train_vocabulary'](texts, 1500))\n",
        encoding="utf-8",
    )
    written = []
    for seed, threads in (("1", "1"), ("2", "3")):
        path = tmp_path / f"vocab{seed}.txt"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads}
        root = pathlib.Path(__file__).parents[2]
        environment["PYTHONPATH"] = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
        module = root / "bert_keras" / "tokenization" / "vocabulary_training.py"
        subprocess.run([sys.executable, script, path, module], check=True, env=environment)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert written[0].count(b"\n") == 1500


def test_written_vocabulary_drives_the_tokenizer(tmp_path: pathlib.Path) -> None:
    tokens = train_vocabulary(TEXTS, size=300)
    write_vocabulary(tmp_path / "vocab.txt", tokens)
    tokenizer = BertTokenizer(tmp_path / "vocab.txt")
    assert tokenizer.vocabulary == tokens
    ids = tokenizer.tokenize(["Lights at night", "ψ night"]).to_list()
    assert tokens.index("[UNK]") not in ids[0]
    assert ids[1] == [tokens.index("[UNK]"), tokens.index("night")]


def test_there_is_an_error_for_an_iterator_no_text_and_too_small_a_size() -> None:
    with pytest.raises(UserError, match="iterator"):
        train_vocabulary(iter(TEXTS))
    for nothing in ([], ["", " \n"]):
        with pytest.raises(UserError, match="nothing to train"):
            train_vocabulary(nothing)
    with pytest.raises(UserError, match="size 20 is too small"):
        train_vocabulary(TEXTS, size=20)


def test_special_tokens_are_the_ones_bert_expects() -> None:
    assert SPECIAL_TOKENS == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
