"""Published files, as they are: what the readers find in them, counted."""

from __future__ import annotations

import pathlib
from collections import Counter

import pytest

from bert_keras.data.choices import read_choices
from bert_keras.data.questions import read_questions
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import read_tagged


@pytest.mark.parametrize(
    ("name", "sentences", "words", "entities", "first"),
    [
        ("wnut17/wnut17.train", 3394, 62730, 1975, ["@paulwalk", "It", "'s"]),
        ("wnut17/wnut17.test", 1009, 15733, 836, ["Stabilized", "approach", "or"]),
        ("weibo_ner/weiboNER_2nd_conll.train", 1350, 73778, 1885, ["科", "技", "全"]),
        ("weibo_ner/weiboNER_2nd_conll.test", 270, 14842, 414, ["一", "节", "课"]),
    ],
)
def test_tagged_words(
    data: pathlib.Path, name: str, sentences: int, words: int, entities: int, first: list[str]
) -> None:
    found = read_tagged(DataSource(str(data / name)))
    assert found.words is not None and found.tags is not None
    assert (len(found), sum(map(len, found.words))) == (sentences, words)
    assert sum(tag.startswith("B-") for tags in found.tags for tag in tags) == entities
    assert found.words[0][:3] == first and all(map(all, found.words))


@pytest.mark.parametrize(("split", "questions"), [("train", 1665), ("test", 555)])
def test_codah(data: pathlib.Path, split: str, questions: int) -> None:
    found = read_choices(DataSource(str(data / "codah" / "fold_0" / f"{split}.tsv")))
    assert Counter(map(len, found.choices)) == {4: questions}
    assert set(found.labels or ()) == {0, 1, 2, 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "questions", "contexts", "answers"),
    [
        ("dev-v1.1", 10570, 2067, 34726),
        ("xquad.en", 1190, 240, 1190),
        ("xquad.zh", 1190, 240, 1190),
    ],
)
def test_squad(data: pathlib.Path, name: str, questions: int, contexts: int, answers: int) -> None:
    found = read_questions(DataSource(str(data / "squad" / f"{name}.json")))
    assert (len(found), len(set(found.contexts))) == (questions, contexts)
    assert sum(map(len, found.gold_texts())) == answers and not found.has_impossible()
    # Each answer is where it says, which reading has checked; so are the lines of the questions.
    lines = (data / "squad" / f"{name}.json").read_text(encoding="utf-8").split("\n")
    assert all(
        f'"{name}"' in lines[line - 1] for name, line in zip(found.ids, found.lines, strict=True)
    )
