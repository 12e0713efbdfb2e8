"""The documented functions of one Python source file, read without importing it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pathlib
import re
import warnings

# A sentence of English has one of these; a list of names, a formula or another language has not.
_FUNCTION_WORDS = frozenset(
    "a an and are as at be by for from if in into is it not of on or that the this to when "
    "which with".split()
)
# Paragraphs that are code, tables or markup rather than prose.
_NOT_PROSE = re.compile(
    r">>>|```|::|^\s*\.\. |^\s*[-=~^*#+|]{3,}|^\s*[-*+] |^\s*(\d+\.|@\w+|:\w+) |\w+: *$", re.M
)
_ROLE = re.compile(r":[\w:]+:`[~!]?([^`<]*)[^`]*`")


@dataclasses.dataclass(frozen=True)
class Documented:
    """A function with an English docstring.

    `source` is the file's path relative to its root, `name` the function's name as it is
    called (no class, no module), `arguments` its parameters without self and cls, and
    `paragraphs` the prose of its docstring, one string a paragraph.
    """

    source: str
    name: str
    arguments: tuple[str, ...]
    paragraphs: tuple[str, ...]

    @property
    def package(self) -> str:
        """The top-level package that the function comes from."""
        return self.source.split("/")[0]


def read_functions(root: str, source: str) -> list[Documented]:
    """The documented functions of the file `root/source`, in the order of the file.

    A file that cannot be read or is not Python of this version has none: packages ship
    templates, tests of the parser and code for other versions.
    """
    try:
        content = (pathlib.Path(root) / source).read_bytes()
        if b'"""' not in content and b"'''" not in content:
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in _functions(tree):
        docstring = ast.get_docstring(node, clean=False)
        paragraphs = prose(docstring) if docstring else ()
        if paragraphs:
            found.append(Documented(source, node.name, _arguments(node.args), paragraphs))
    return found


def prose(docstring: str) -> tuple[str, ...]:
    """The English paragraphs of a docstring, each on one line, without markup.

    The first paragraph is the summary. If it is not prose, the docstring counts as having
    none at all, since nothing says what its function does.
    """
    text = inspect.cleandoc(docstring)
    paragraphs = []
    for index, paragraph in enumerate(re.split(r"\n[ \t]*\n", text)):
        plain = _without_markup(paragraph)
        if not _NOT_PROSE.search(paragraph) and is_english(plain):
            paragraphs.append(plain)
        elif index == 0:
            return ()
    return tuple(paragraphs)


def is_english(text: str) -> bool:
    """Whether a text has an English function word and is nearly all plain letters."""
    letters = sum(character.isascii() and character.isalpha() for character in text)
    spaces = text.count(" ")
    if not text or (letters + spaces) / len(text) < 0.85:
        return False
    return not _FUNCTION_WORDS.isdisjoint(text.lower().split())


def _without_markup(paragraph: str) -> str:
    plain = _ROLE.sub(lambda match: match[1].rsplit(".", 1)[-1], paragraph)
    # Half a surrogate pair, which an escape in a string can make, goes into no file.
    plain = plain.encode("utf-8", "replace").decode("utf-8")
    return " ".join(plain.replace("`", "").replace("*", "").split())


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods down to any depth of classes, in order; not those inside functions."""
    found: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node)
        elif isinstance(node, (ast.ClassDef, ast.If, ast.Try, ast.With)):
            found += _functions(node)
    return found


def _arguments(arguments: ast.arguments) -> tuple[str, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    every = [*positional, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    names = [argument.arg for argument in every if argument is not None]
    return tuple(name for name in names if name not in ("self", "cls"))
