"""Published files of separated values that have no header, and are known by their columns."""

from __future__ import annotations

from collections.abc import Sequence

_COLA_COLUMNS = ["source", "label", "original_label", "sentence"]
_CODAH_COLUMNS = ["category", "question", "answer0", "answer1", "answer2", "answer3", "label"]
_CODAH_CATEGORIES = ("i", "n", "o", "p", "q", "r", "")
_STSB_COLUMNS = ["genre", "file", "year", "old_index", "score", "sentence1", "sentence2"]
_STSB_GENRES = ("main-captions", "main-forum", "main-forums", "main-news")

# The header of QQP's published file, some rows of which are cut short.
QQP_COLUMNS = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]


def columns_without_header(row: Sequence[str]) -> list[str] | None:
    """Returns the names of the columns of a known file, by its first row; None for any other.

    CoLA has four columns (source, label, star or nothing, sentence), CODAH seven (a letter or
    nothing for the category, question, four answers, the right one's number from 0). STS-B is
    known by its genres; what some of its rows have beyond the sentences, a source, is not read.
    """
    if is_stsb(row):
        return _STSB_COLUMNS
    if len(row) == 4 and row[1] in ("0", "1") and row[2] in ("", "*"):
        return _COLA_COLUMNS
    if len(row) == 7 and row[0] in _CODAH_CATEGORIES and row[6] in ("0", "1", "2", "3"):
        return _CODAH_COLUMNS
    return None


def is_stsb(row: Sequence[str]) -> bool:
    """Returns whether a row is of STS-B's own files, whose rows have further fields at times."""
    return len(row) >= len(_STSB_COLUMNS) and row[0] in _STSB_GENRES
