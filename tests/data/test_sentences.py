"""Where sentences end, in English, Chinese and other languages; and on real books."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_keras.data.sentences import KINDS, splitter

# Each case is the text with `|` where it must be cut, in place of the white space there.
ENGLISH = [
    "It rained.|We stayed.",
    "Is it late? | Yes! | Go home.",
    "Mr. Brown met Mrs. Gray at St. Anne's.|Dr. Hall did not come.",
    "See e.g. Table 3, i.e. the last one, cf. Smith vs. Jones.|It ends there.",
    "The house of J. R. Wood stands.|A. B. Carr built it.",
    "He left the U.S. Army.|He came to the U.S. | The house was his.",
    "No. 5 is alive.|He said no. | We left.",
    "She wrote Chap. 4 in Dec. 1880.|It was cold in Dec. | We froze.",
    "\"Come in.\" | \"I will not!\" said he.|'Why?' | 'So.'",
    "“Stay.” | “No,” she said. | (He stayed.) | [It was late.]",
    '"Will you?" asked Ann; "you must!" and she laughed.',
    "He paused... and went on.|He paused...|Then he left.",
    "It cost 3.5 pounds, at 4 p.m. on Monday.|Version 2.0 came.|Next.",
    "Really?!|Yes!!!|*Well.*|_So it was._|— Who knows?",
    "Visit example.com or file.txt today.|Thanks.",
    "One\nsentence over\nlines.|Another\none.",
    "A heading\n\nThe text.|More text\n \t\n- a list",
    "It was I.|The end",
    "¿Qué?|¡No!|Été is a word.|«Oui.»|Élan.",
]
# The cut of these stands for nothing: no white space is there.
CHINESE = [
    "今天下雨。|我们在家。",
    "你好吗？|很好！|走吧；|再见…",
    "他说：“走吧。”|她没有动。|「好。」|『是！？』|（完。）|好",
    "价格是3.5元。|第2章",
    "一行\n还是一行。|新的",
]
MULTILINGUAL = [
    *ENGLISH,
    "今天下雨。|我们在家！|走吧？|好",
    "هل أنت بخير؟ | نعم۔ | شكرا.",
    "यह एक वाक्य है। | यह दूसरा है॥ | अंत",
    "Привет. | Как дела? | Хорошо, и т.д. без конца.",
    "Das ist gut. | Über den Berg.",
]


@pytest.mark.parametrize("text", ENGLISH)
def test_english(text: str) -> None:
    _check("english", text)


@pytest.mark.parametrize("text", MULTILINGUAL)
def test_multilingual(text: str) -> None:
    _check("multilingual", text)


@pytest.mark.parametrize("text", CHINESE)
def test_chinese(text: str) -> None:
    _check("chinese", text)


def _check(kind: str, text: str) -> None:
    expected = [part.strip() for part in re.split(r"\||\n[ \t]*\n", text)]
    is_wide = re.compile(r"(?<=[。！？；…”」』）])\|")
    joined = re.sub(r" *\| *", " ", is_wide.sub("", text))
    assert splitter(kind)(joined) == expected


def test_paragraphs_of_chinese_may_be_indented_lines() -> None:
    assert splitter("chinese")("　　第一段\n　　第二段\n  第三段") == ["第一段", "第二段", "第三段"]


def test_every_line_is_a_sentence() -> None:
    assert splitter("line")("One. Two.\r\n\n three \n") == ["One. Two.", "three"]


@given(st.sampled_from(KINDS), st.text(alphabet="aB.!?…\"'“” \n\r\t。！”，Mr1)؟", max_size=60))
def test_no_letter_is_lost_and_none_is_blank(kind: str, text: str) -> None:
    sentences = splitter(kind)(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)


@pytest.mark.parametrize("kind", KINDS)
def test_long_runs_take_linear_time(kind: str) -> None:
    began = time.process_time()
    for run in (".", "\n", " ", "\n ", "。", '."', "…"):
        splitter(kind)("a" + run * 100_000 + "b")
    assert time.process_time() - began < 2


def test_a_real_book(data) -> None:
    text = (data / "books" / "Jane Austen" / "Pride and Prejudice.md").read_text(encoding="utf-8")
    sentences = splitter("english")(text)
    lengths = [len(sentence.split()) for sentence in sentences]
    assert 4000 < len(sentences) < 8000 and 15 < sum(lengths) / len(lengths) < 30
    # No sentence ends with a title or an initial; those that do would be cut in a name.
    assert not [s for s in sentences if re.search(r"\b(Mr|Mrs|Dr|Col|[A-HJ-Z])\.$", s)]
    assert sentences[5].startswith("It is a truth universally acknowledged")
    assert splitter("multilingual")(text) == sentences
