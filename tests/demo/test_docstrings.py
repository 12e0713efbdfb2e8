"""Reading documented functions out of source files of every kind."""

from __future__ import annotations

import pathlib

import pytest

from bert_keras.demo.docstrings import is_english, prose, read_functions


def _functions(tmp_path: pathlib.Path, source: str | bytes):
    content = source if isinstance(source, bytes) else source.encode("utf-8")
    (tmp_path / "m.py").write_bytes(content)
    return read_functions(str(tmp_path), "m.py")


def test_functions_methods_and_their_arguments(tmp_path: pathlib.Path) -> None:
    found = _functions(
        tmp_path,
        '''
def outer(a, /, b, *rest, c=1, **more):
    """Adds the first to the second."""
    def inner():
        """Is not to be found here."""
class Box:
    """A class is not a function of the task."""
    def open(self, key):
        """Opens the box with a key."""
    class Lid:
        @classmethod
        async def lift(cls):
            """Lifts the lid of the box."""
if True:
    def conditional():
        """Is there under a condition."""
def undocumented(): pass
''',
    )
    assert [function.name for function in found] == ["outer", "open", "lift", "conditional"]
    assert found[0].arguments == ("a", "b", "rest", "c", "more")
    assert [function.arguments for function in found[1:]] == [("key",), (), ()]
    assert found[0].paragraphs == ("Adds the first to the second.",)
    assert found[0].source == "m.py"


@pytest.mark.parametrize(
    "content",
    [
        b'def broken(:\n    """The syntax is wrong."""\n',
        b'def f():\n    """The bytes \xff are not UTF-8."""\n',
        b'def f():\n    """The null \x00 is not Python."""\n',
        b"",
        b'print "a file for the Python of long ago" """x"""\n',
        b'"""' + b"(" * 5000 + b'"""\n' + b"x = " + b"(" * 5000 + b")" * 5000,
    ],
)
def test_files_that_are_not_python_have_no_functions(tmp_path, content: bytes) -> None:
    assert _functions(tmp_path, content) == []


def test_a_declared_encoding_is_honoured(tmp_path: pathlib.Path) -> None:
    source = '# -*- coding: latin-1 -*-\ndef f():\n    """The word naïve is in this."""\n'
    assert _functions(tmp_path, source.encode("latin-1"))[0].paragraphs == (
        "The word naïve is in this.",
    )


def test_a_missing_file_has_no_functions(tmp_path: pathlib.Path) -> None:
    assert read_functions(str(tmp_path), "absent.py") == []


def test_prose_keeps_english_paragraphs_and_drops_code_and_markup() -> None:
    docstring = """Compute the :func:`~pkg.mean` of ``values``
    along an axis.

    The result is *not* rounded.

    >>> mean([1, 2])
    1.5

    Args:
        values: the numbers.

    .. note:: Directives are markup in this.

    - a list of things
    - that is in bullets

    x + y = z ** 2 / (a - b) for 1 in 3
    """
    assert prose(docstring) == (
        "Compute the mean of values along an axis.",
        "The result is not rounded.",
    )


def test_a_docstring_without_a_summary_in_prose_has_none() -> None:
    assert prose(">>> f()\n1\n\nThe text is only after the code.") == ()
    assert prose("") == ()


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Return the mean of the values.", True),
        ("Berechnet den Mittelwert aller Zahlen.", False),
        ("计算数组的平均值 of the", False),
        ("alpha beta gamma", False),
        ("a 1 2 3 4 5 6 7 8 9 0", False),
        ("", False),
    ],
)
def test_english_is_told_by_function_words_and_letters(text: str, english: bool) -> None:
    assert is_english(text) is english
