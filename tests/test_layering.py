"""The folders of the library depend on each other one way only."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

_ROOT = pathlib.Path(__file__).parents[1] / "bert_keras"

# What each folder (or module at the top) may import of ours, itself aside. `errors` and
# `config` are open to all.
_BASE = {"config", "errors"}
_ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "config": {"errors"},
    "layers": _BASE,
    "models": _BASE | {"layers"},
    "tokenization": _BASE,
    "data": _BASE | {"tokenization"},
    "metrics": _BASE,
    "optimization": _BASE,
    "checkpoints": _BASE | {"layers", "models", "tokenization"},
    "training": _BASE | {"layers", "models", "data", "optimization", "checkpoints"},
    "tasks": _BASE
    | {"layers", "models", "tokenization", "data", "metrics", "optimization", "checkpoints"}
    | {"training"},
    "export": _BASE
    | {"layers", "models", "tokenization", "data", "metrics", "optimization", "checkpoints"}
    | {"training", "tasks"},
    "flags": {"errors"},
    "cli": {"errors", "flags"},
    "__main__": {"cli"},
}
# These know all, and import late what they need.
_KNOW_ALL = {"commands", "demo", "__init__"}


def _modules() -> list[pathlib.Path]:
    return sorted(
        path
        for top in (_ROOT, *(entry for entry in _ROOT.iterdir() if entry.is_dir()))
        for path in (top.glob("*.py") if top == _ROOT else top.rglob("*.py"))
    )


def _folder(path: pathlib.Path) -> str:
    relative = path.relative_to(_ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _imports(node: ast.AST) -> Iterator[str]:
    """Full names of what is imported below a node: `from a import b` gives `a.b`."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)


def _parse(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _ours(names: Iterator[str]) -> set[str]:
    """The folders of ours among imported names."""
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "bert_keras" and len(part) > 1}


def test_dependencies_run_one_way() -> None:
    wrong = []
    for path in _modules():
        folder = _folder(path)
        if folder not in _KNOW_ALL:
            extra = _ours(_imports(_parse(path))) - _ALLOWED[folder] - {folder}
            wrong += [f"{path.relative_to(_ROOT)} imports {name}" for name in sorted(extra)]
    assert not wrong


def _foreigners(folder: str) -> set[str]:
    """Packages of others that a folder may not import."""
    names = {"tensorflow_hub"}
    if folder not in ("training", "checkpoints"):
        # Legacy Keras, and what imports it.
        names |= {"tf_keras", "official", "orbit"}
    if folder not in ("export", "commands"):
        names |= {"tensorflow_serving", "grpc"}
    if folder in ("errors", "config", "flags", "cli", "__main__", "__init__"):
        # `--help` does not wait for these.
        names |= {"tensorflow", "tensorflow_text", "keras", "keras_hub", "numpy"}
    return names


def test_foreign_packages_stay_in_their_place() -> None:
    wrong = []
    for path in _modules():
        tops = {name.split(".")[0] for name in _imports(_parse(path))}
        extra = tops & _foreigners(_folder(path))
        wrong += [f"{path.relative_to(_ROOT)} imports {name}" for name in sorted(extra)]
    assert not wrong


def test_the_rules_cover_every_folder() -> None:
    assert {_folder(path) for path in _modules()} == _KNOW_ALL | set(_ALLOWED)
