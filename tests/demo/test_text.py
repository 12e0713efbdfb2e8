"""The text to pretrain on holds nothing of the packages that the task is scored on."""

from __future__ import annotations

import pathlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.data.store import CorpusStore
from bert_keras.demo import task, text
from bert_keras.demo.docstrings import Documented
from tests import small

_WORDS = st.sampled_from("Load Save the a table of from file to".split())
_SENTENCES = st.lists(_WORDS, min_size=1, max_size=5).map(lambda words: " ".join(words))
_FUNCTIONS = st.lists(
    st.builds(
        lambda package, sentences: Documented(
            f"{package}/m.py", "get_it", ("x",), (". ".join(sentences) + ".",)
        ),
        st.sampled_from("abcdef"),
        st.lists(_SENTENCES, min_size=1, max_size=3),
    ),
    max_size=20,
)


def _function(package: str, *paragraphs: str) -> Documented:
    return Documented(f"{package}/m.py", "readFile", ("path",), paragraphs)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_FUNCTIONS, st.sets(st.sampled_from("abcdef")))
def test_no_sentence_of_an_unseen_package_is_in_the_text(functions, unseen: set[str]) -> None:
    found = text.documents(functions, unseen)
    held_back = {
        task.word_bag(sentence)
        for function in functions
        if function.package in unseen
        for sentence in task.sentences(function.paragraphs)
    }
    written = [task.word_bag(line) for document in found for line in document[:-1]]
    assert held_back.isdisjoint(written)
    # And nothing else is lost.
    allowed = [
        bag
        for function in functions
        if function.package not in unseen
        for sentence in task.sentences(function.paragraphs)
        if (bag := task.word_bag(sentence)) not in held_back
    ]
    assert written == allowed


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_FUNCTIONS)
def test_no_example_of_dev_or_test_is_in_the_text(functions) -> None:
    splits = task.split_by_package(task.make_examples(functions), 0.3, 0.3)
    scored = splits["dev"] + splits["test"]
    found = text.documents(functions, {example.package for example in scored})
    written = {task.word_bag(line) for document in found for line in document}
    assert written.isdisjoint(task.word_bag(example.text) for example in scored)


def test_a_document_is_the_sentences_of_a_docstring_and_the_signature() -> None:
    functions = [
        _function("seen", "Read a file. It is closed.", "The text is kept."),
        _function("new", "It is CLOSED.", "Nothing else."),
        _function("seen", "Closed it is."),
    ]
    assert text.documents(functions, {"new"}) == [
        ["Read a file.", "The text is kept.", "read file ( path )"]
    ]


def test_a_few_documents_are_held_out_and_none_is_lost() -> None:
    found = [[f"f{index} ( )", "It is."] for index in range(500)]
    parts = text.split(found)
    assert len(parts["held_out"]) == 10
    assert sorted(parts["train"] + parts["held_out"]) == sorted(found)


def test_written_documents_are_prepared_as_they_were(tmp_path: pathlib.Path) -> None:
    found = [["hello world", "hello, hello."], ["world hello", "world."]]
    text.write(tmp_path / "text.txt", found)
    prepare(
        str(tmp_path / "text.txt"),
        small.tokenizer(),
        tmp_path / "store",
        PrepareSettings("blank_line", "line"),
    )
    store = CorpusStore.open(tmp_path / "store")
    assert (store.manifest.documents, store.manifest.sentences) == (2, 4)
