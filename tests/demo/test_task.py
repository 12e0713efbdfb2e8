"""The task: what is exchanged, and that nothing leaks from training into test."""

from __future__ import annotations

import collections
import pathlib
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_keras.data.examples import read_examples
from bert_keras.demo import task
from bert_keras.demo.docstrings import Documented

_WORDS = st.sampled_from("Load Save the a table of from file to with row Mean values in".split())
_SENTENCES = st.lists(_WORDS, min_size=1, max_size=9).map(" ".join)
_FUNCTIONS = st.lists(
    st.builds(
        lambda package, sentence: Documented(f"{package}/m.py", "get_it", ("x",), (sentence,)),
        st.sampled_from("abcdefgh"),
        _SENTENCES,
    ),
    max_size=30,
)

# Drawing many sentences can be slow while the machine is busy.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _bag(text: str) -> collections.Counter[str]:
    return collections.Counter(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize(
    ("sentence", "exchanged"),
    [
        ("Compute the mean of the values", "Compute the values of the mean"),
        ("Convert bytes to plain text", "Convert plain text to bytes"),
        ("Read a line from a file of text", "Read a file of text from a line"),
        ("Save it to disk", None),  # four words
        ("Remove all the white space", None),  # no preposition
        ("Of mice and of men there", "Of men there of mice and"),
        ("Wait a very long time for", None),  # nothing on one side
        ("In the middle of it all", "In it all of the middle"),
        ("Compute x = the mean of all", None),  # a formula
        ("the mean of the values", None),  # not a sentence
        ("Turn ABOUT to about", None),  # four words
        ("Turn it round to it round", None),  # the same on either side
        (" ".join(["very"] * 19) + " of it", None),  # too long
    ],
)
def test_parts_around_the_first_preposition_are_exchanged(sentence, exchanged) -> None:
    assert task.exchange(sentence) == exchanged


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("read_csv", "read csv"),
        ("_privateName", "private name"),
        ("parseHTTPHeader", "parse http header"),
        ("__init__", "init"),
        ("conv2d", "conv2d"),
        ("x", "x"),
    ],
)
def test_identifiers_are_split_into_words(name: str, words: str) -> None:
    assert task.split_identifier(name) == words


def test_signature_shows_the_first_arguments() -> None:
    assert task.signature_words("read_csv", ()) == "read csv ( )"
    arguments = ("filePath", "sep", "a", "b", "left_out")
    assert task.signature_words("readCSV", arguments) == "read csv ( file path sep a b )"


def test_sentences_of_paragraphs() -> None:
    paragraphs = ("Load version 1.5 of the file. It is read once (only).", "See e.g. the rest.")
    assert task.sentences(paragraphs) == [
        "Load version 1.5 of the file",
        "It is read once (only)",
        "See e.g. the rest",
    ]


@_PATIENT
@given(_FUNCTIONS)
def test_both_sentences_of_a_function_have_the_same_words(functions) -> None:
    examples = task.make_examples(functions)
    for written, exchanged in zip(examples[::2], examples[1::2], strict=True):
        assert (written.label, exchanged.label) == (task.AS_WRITTEN, task.EXCHANGED)
        assert _bag(written.text) == _bag(exchanged.text)
        assert written.text.lower() != exchanged.text.lower()
        assert written.text_pair == exchanged.text_pair


@_PATIENT
@given(_FUNCTIONS, st.floats(0, 0.4), st.floats(0, 0.4))
def test_nothing_leaks_between_the_splits(functions, dev_share: float, test_share: float) -> None:
    examples = task.make_examples(functions)
    splits = task.split_by_package(examples, dev_share, test_share)
    assert sorted(sum(splits.values(), []), key=repr) == sorted(examples, key=repr)
    packages: dict[str, set[str]] = {}
    bags: dict[str, set[frozenset[tuple[str, int]]]] = {}
    for name, part in splits.items():
        packages[name] = {example.package for example in part}
        bags[name] = {frozenset(_bag(example.text).items()) for example in part}
        assert 2 * sum(e.label == task.AS_WRITTEN for e in part) == len(part)
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not packages[one] & packages[other]
        assert not bags[one] & bags[other]
    assert len(splits["test"]) <= test_share * len(examples)
    assert len(splits["dev"]) <= dev_share * len(examples)


def test_many_packages_fill_all_splits_and_the_largest_is_for_training() -> None:
    functions = [
        Documented(f"p{index % 50}/m.py", "f", (), (f"Load item{index} from the file",))
        for index in range(1000)
    ]
    functions += [
        Documented("huge/m.py", "f", (), (f"Load thing{index} from the file",))
        for index in range(1000)
    ]
    splits = task.split_by_package(task.make_examples(functions))
    sizes = {name: len(part) / 4000 for name, part in splits.items()}
    assert 0.09 < sizes["test"] <= 0.1
    assert 0.04 < sizes["dev"] <= 0.05
    assert {e.package for e in splits["train"]} >= {"huge"}


def test_spread_keeps_couples_and_the_whole_range() -> None:
    functions = [
        Documented("p/m.py", "f", (), (f"Load item{index} from the file",)) for index in range(100)
    ]
    examples = task.make_examples(functions)
    some = task.spread(examples, 40)
    assert len(some) == 40
    assert some[0] == examples[0]
    assert _bag(some[-2].text) == _bag(some[-1].text)
    assert some[-1] in examples[-10:]
    assert task.spread(examples, 1000) == examples
    assert task.spread([], 10) == []


def test_written_examples_read_as_they_were(tmp_path: pathlib.Path) -> None:
    examples = [
        task.Example('Say "so" of it', "say ( so )", task.AS_WRITTEN, "p"),
        task.Example("Say it of so", "say ( ç )", task.EXCHANGED, "p"),
    ]
    task.write_tsv(tmp_path / "data.tsv", examples)
    read = read_examples(str(tmp_path / "data.tsv"))
    assert read.texts == [example.text for example in examples]
    assert read.pairs == [example.text_pair for example in examples]
    assert read.labels == [task.AS_WRITTEN, task.EXCHANGED]
