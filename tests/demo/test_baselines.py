"""Baselines on cases whose answer is known."""

from __future__ import annotations

import pytest

from bert_keras.data.columns import Columns
from bert_keras.data.examples import Examples
from bert_keras.demo import baselines


def _examples(rows: list[tuple[str, str, str]]) -> Examples:
    texts, pairs, labels = (list(column) for column in zip(*rows, strict=True))
    columns = Columns("text", "text_pair", "label")
    return Examples(texts, pairs, labels, "rows", list(range(len(rows))), columns)


def test_majority_is_the_share_of_the_most_frequent_training_label() -> None:
    assert baselines.majority_accuracy(["b", "b", "a"], ["b", "a", "a", "a"]) == 0.25
    assert baselines.majority_accuracy(["b", "a"], ["a", "a", "b"]) == pytest.approx(2 / 3)


def test_words_that_tell_the_label_are_found_in_either_text() -> None:
    train = [("good film", "x", "yes"), ("bad film", "x", "no")] * 20
    test = [("a good one", "x", "yes"), ("a bad one", "x", "no")]
    assert baselines.bag_of_words_accuracy(_examples(train), _examples(test)) == 1.0
    turned = [(pair, text, label) for text, pair, label in train]
    turned_test = [(pair, text, label) for text, pair, label in test]
    assert baselines.bag_of_words_accuracy(_examples(turned), _examples(turned_test)) == 1.0


def test_the_same_word_counts_apart_in_the_two_texts() -> None:
    train = [("left", "right", "ab"), ("right", "left", "ba")] * 20
    assert baselines.bag_of_words_accuracy(_examples(train), _examples(train)) == 1.0


def test_shared_words_are_counted() -> None:
    words = [f"word{index}" for index in range(200)]
    rows = [(w, w, "same") for w in words] + [
        (w, v, "other") for w, v in zip(words, words[1:] + words[:1], strict=True)
    ]
    unseen = [(w, w, "same") for w in "pqr"] + [("p", "q", "other"), ("q", "r", "other")]
    assert baselines.bag_of_words_accuracy(_examples(rows), _examples(unseen)) == 1.0


def test_word_order_is_out_of_reach() -> None:
    words = [f"word{index}" for index in range(60)]
    rows = []
    for first, second in zip(words[::2], words[1::2], strict=True):
        rows += [(f"{first} of {second}", "f", "as_written")]
        rows += [(f"{second} of {first}", "f", "exchanged")]
    assert baselines.bag_of_words_accuracy(_examples(rows), _examples(rows)) == 0.5
