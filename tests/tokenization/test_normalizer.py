"""Normalised rows, and the source positions of their bytes."""

from __future__ import annotations

import pytest
import tensorflow as tf

from bert_keras.tokenization import code_points
from bert_keras.tokenization.normalizer import Normalizer, plain_row, to_source

LETTERS = set("abcdefghijklmnopqrstuvwxyzσς") | {"\U00016ff0", "\u302e"}


@pytest.fixture(scope="module")
def uncased() -> Normalizer:
    return Normalizer(LETTERS, True, True, True)


def normalised(normalizer: Normalizer, *rows: str | bytes) -> list[str]:
    return [row.decode() for row in normalizer(tf.constant(list(rows)))[0].numpy()]


def test_rows_stay_rows(uncased: Normalizer) -> None:
    rows = ["é", "", "\x02", "a\x02b\x01c", "\x00", "x\ty\n"]
    assert normalised(uncased, *rows) == ["e", "", "", "abc", "", "x y "]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aΣ", "aς"),
        ("aΣ.", "aς."),
        ("aΣb", "aσb"),
        ("a.Σ.b", "a.σ.b"),
        ("Σ", "σ"),
        ("'Σ", "'σ"),
        ("a\u0301Σ", "aς"),
        ("a\x01Σ", "aς"),
        ("a\u00adΣ\u00adb", "aσb"),
        ("a Σ", "a σ"),
        ("aΣ b", "aς b"),
        ("ΣΣΣ", "σσς"),
    ],
)
def test_final_sigma(uncased: Normalizer, text: str, expected: str) -> None:
    assert normalised(uncased, text) == [expected]


def test_sigma_does_not_see_the_next_row(uncased: Normalizer) -> None:
    assert normalised(uncased, "aΣ", "b", "Σ") == ["aς", "b", "σ"]


def test_marks_that_stay_are_put_in_canonical_order(uncased: Normalizer) -> None:
    first, second = "\U00016ff0", "\u302e"  # combining classes 6 and 224
    assert normalised(uncased, f"a{second}{first}") == [f"a{first}{second}"]
    assert normalised(uncased, f"a{second}b{first}") == [f"a{second}b{first}"]
    # A dropped mark of class 0 holds the order, one of class 230 does not.
    assert normalised(uncased, f"a{second}\u0e31\u0301{first}") == [f"a{second}{first}"]
    assert normalised(uncased, f"é{second}\u0301{first}") == [f"e{first}{second}"]


def test_words_over_200_characters_become_unknown(uncased: Normalizer) -> None:
    kept, long = "é" + "x" * 199, "é" + "x" * 200
    text = f"{kept} {long},{long} {kept}"
    unknown = code_points.UNKNOWN_LETTER * 201
    plain = "e" + "x" * 199
    assert normalised(uncased, text) == [f"{plain} {unknown},{unknown} {plain}"]


def test_plain_rows_are_those_that_need_no_table() -> None:
    plain = ["", "a b\t\r\n~!", "x" * 200, ("x" * 200 + ".") * 3, "A1 " * 5000]
    other = ["x" * 201, "a " + "x" * 201, "é", "\x00", "a\x1cb", "\x7f", "\x0b", b"\xff"]
    match = tf.strings.regex_full_match(tf.constant([*plain, *other]), plain_row(200)).numpy()
    assert match.tolist() == [True] * len(plain) + [False] * len(other)


@pytest.mark.parametrize(("unit", "expected"), [("char", (4, 7)), ("byte", (6, 10))])
def test_source_positions(uncased: Normalizer, unit: str, expected: tuple[int, int]) -> None:
    rows = ["é", "é\u200b xéy"]
    output, source = uncased(tf.constant(rows), unit)
    assert output.numpy().tolist() == [b"e", b"e xey"]
    start, end = to_source(source, tf.constant([1]), tf.constant([2]), tf.constant([5]))
    shift = {"char": -1, "byte": 0}[unit]
    assert (int(start[0]), int(end[0])) == (expected[0] + shift, expected[1] + shift)
