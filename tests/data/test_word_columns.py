"""Columns of words in the forms in which they come: comments, numbers, tabs and white space."""

from __future__ import annotations

import pathlib

import pytest

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import TaggedSentences, read_tagged
from bert_keras.errors import UserError

WORDS = [["Ada", "Lovelace", "lived", "in", "London"], ["Paris", "is", "big"], ["Bob", "slept"]]
TAGS = [["B-PER", "I-PER", "O", "O", "B-LOC"], ["B-LOC", "O", "O"], ["B-PER", "O"]]


@pytest.fixture
def read(tmp_path):
    def read(text: str, name: str = "a.conll", labelled: bool = True, **columns) -> TaggedSentences:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_tagged(DataSource(str(path), **columns), labelled)

    return read


@pytest.mark.parametrize(
    "name",
    [
        *("ok.conll", "comments.conll", "germeval.tsv", "tab_then_space.conll"),
        *("docstart_tab.conll", "blank_spaces.conll"),
    ],
)
def test_published_forms(assets: pathlib.Path, name: str) -> None:
    path = str(assets / "cases" / "files" / name)
    found = read_tagged(DataSource(path))
    assert (found.words, found.tags) == (WORDS * 6, TAGS * 6)
    assert read_tagged(DataSource(path), labelled=False).words == WORDS * 6


def test_conll_u(assets: pathlib.Path) -> None:
    """FORM and UPOS, without ranges (`1-2`) and empty nodes (`5.1`)."""
    path = str(assets / "cases" / "files" / "ud.conllu")
    found = read_tagged(DataSource(path))
    assert found.words == [["vamos", "nos", "a", "el", "mar"]] * 5
    assert found.tags == [["VERB", "PRON", "ADP", "DET", "NOUN"]] * 5
    assert [found.where(1, word).rpartition(":")[2] for word in range(5)] == [
        *("15", "16", "18", "19", "20"),
    ]
    assert found.part(1, 2).where(0, 4).endswith(":20")
    assert read_tagged(DataSource(path, label_column="5")).tags == [["_"] * 5] * 5
    assert read_tagged(DataSource(path, label_column="3")).tags[0][1] == "nosotros"
    assert read_tagged(DataSource(path), labelled=False).words == found.words


def test_words_that_are_white_space_or_invisible(assets: pathlib.Path, read) -> None:
    found = read_tagged(DataSource(str(assets / "cases" / "files" / "zero_width.conll")))
    assert found.words == [["Ada", "\u200b", "slept", "\u00ad", "\ufe0f"], ["Bob", "slept"]] * 6
    assert found.tags == [["B-PER", "O", "O", "O", "O"], ["B-PER", "O"]] * 6
    assert read("a O\n\u00a0 O\n\u3000 B-x\n").words == [["a", "\u00a0", "\u3000"]]
    assert read("a\tO\n \tO\n\u00a0\tO\nb c\tO\n").words == [["a", " ", "\u00a0", "b c"]]
    assert read("a O\n  O\n").words == [["a", " "]]
    assert read("a\n\u00a0\nb\n\nc\n", labelled=False).words == [["a", "\u00a0", "b"], ["c"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Words that are or begin with a number sign, as in WNUT17.
        ("# O\n1 O\n", [["#", "1"]]),
        ("#nlp O\nis O\n\n#ml B-x\n", [["#nlp", "is"], ["#ml"]]),
        ("we O\nrank O\n# B-x\n1 I-x\n", [["we", "rank", "#", "1"]]),
        # A tag that no other word has.
        ("#nlp TAG\na O\n", [["#nlp", "a"]]),
        # Comments, also with as many columns as words have.
        ("# doc1\na O\n\n# doc2\nb B-x\n", [["a"], ["b"]]),
        ("# sent_id = 5\na O\n# sent_id = 6\nb O\n", [["a"], ["b"]]),
        ("#begin document (x); part 000\na O\n#end document\n", [["a"]]),
        ("# text = a b\na\tO\nb\tB-x\n", [["a", "b"]]),
    ],
)
def test_number_signs(read, text, words):
    assert read(text).words == words


def test_lines_that_may_be_words_are_comments_with_a_warning(read, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        assert read("#id=1\na O\n\n#id=2\nb O\n").words == [["a"], ["b"]]
    (record,) = caplog.records
    assert "a.conll:1: '#id=1' and 1 more line(s) that begin with # have oth" in record.getMessage()
    with pytest.raises(
        UserError, match=r"a.conll:2: received 1 column\(s\) \('#nlp'\), expected 2"
    ):
        read("a O\n#nlp\n")
    with pytest.raises(UserError, match=r"a.conll:1: received 1 column\(s\) \('#'\), expected 2"):
        read("#\na O\nb O\n")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        # GermEval: entities, and entities inside of these.
        ("1\ta\tB-LOC\tO\n2\tb\tO\tB-ORG\n", ["B-LOC", "O"]),
        # CoNLL 2003 with numbers: parts of speech and chunks come before the entities.
        ("1 a NN B-NP B-LOC\n2 b VB O O\n", ["B-LOC", "O"]),
        # Universal NER: an annotator stands behind the tag.
        ("1\ta\tB-LOC\t-\tann\n2\tb\tO\t-\tann\n", ["B-LOC", "O"]),
        ("0\ta\tNN\n1\tb\tVB\n", ["NN", "VB"]),
    ],
)
def test_numbered_words(read, text, tags):
    found = read(text)
    assert (found.words, found.tags) == ([["a", "b"]], [tags])
    assert read(text, labelled=False).words == [["a", "b"]]


def test_numbers_may_be_words(read):
    assert read("1 O\n2 O\n").words == [["1", "2"]]
    assert read("1 CD O\n2 CD O\n3 CD O\n\nof IN O\n").words == [["1", "2", "3"], ["of"]]


def test_tabs_and_spaces_in_one_line(read):
    found = read("EU NNP\tB-ORG\nrejects VBZ\tO\n")
    assert (found.words, found.tags) == ([["EU", "rejects"]], [["B-ORG", "O"]])
    assert read("New York\tB-LOC\nis\tO\n").words == [["New York", "is"]]
    assert read("a\t\tO\nb\tx\tO\n").words == [["a", "b"]]
    assert read("a\tO\t\nb\tO\t\n").tags == [["O", "O"]]


def test_a_sentence_with_a_bad_line_is_skipped_whole(assets: pathlib.Path, read) -> None:
    path, bad_rows = str(assets / "cases" / "files" / "missing_tag.conll"), BadRows(skip=True)
    with pytest.raises(UserError, match=r"conll:14: received 1 column\(s\) \('word'\), expected 2"):
        read_tagged(DataSource(path))
    found = read_tagged(DataSource(path, bad_rows=bad_rows))
    assert (found.words, found.tags) == (WORDS * 6, TAGS * 6)
    (skipped,) = bad_rows.skipped
    assert (skipped.where, skipped.row) == (f"{path}:14", ["word"])
    bad_rows = BadRows(skip=True)
    found = read("a O\nb\nc O\n\nd O\n\ne\tO\n\tO\n", bad_rows=bad_rows)
    assert found.words == [["d"]]
    assert [row.row for row in bad_rows.skipped] == [["a O", "b", "c O"], ["e\tO", "\tO"]]
    with pytest.raises(UserError, match="a.conll: has no sentences that can be used"):
        read("a O\n\tO\n", bad_rows=BadRows(skip=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b_per\nb o\n", [["a", "b"]]),
        ("# id 1\na PER-B\nb O\n", [["a", "b"]]),
        ("1\ta\tO\tO\n2\tb\tB-x\tO\n", [["a", "b"]]),
        ("1\tb\t_\tX\t_\t_\t0\troot\t_\t_\n", [["b"]]),
    ],
)
def test_texts_that_are_columns(read, text, words):
    assert read(text, "a.txt", labelled=False).words == words


@pytest.mark.parametrize("text", ["1 apple pie\n2 cherry pies\n", "# notes\nabout B-52\n"])
def test_texts_that_are_none(read, text):
    assert read(text, "a.txt", labelled=False).texts == text.strip().split("\n")
