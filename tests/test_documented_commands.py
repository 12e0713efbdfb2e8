"""Every command in the guides and in the recipes: its flags are there, and take their values."""

from __future__ import annotations

import pathlib
import re
import shlex

import pytest

from bert_keras import cli, flags

_ROOT = pathlib.Path(__file__).parents[1]
_RECIPES = sorted(_ROOT.glob("configs/*.flags"))
_GUIDES = [_ROOT / "README.md", _ROOT / "README.zh-CN.md", *sorted(_ROOT.glob("docs/**/*.md"))]
_VERB = re.compile(r"(?:^|\| |&& )(bert-keras [a-z]+(?: .*)?)$", re.MULTILINE)


def _commands(shell: str) -> list[list[str]]:
    """The commands of a piece of shell, a verb and its arguments each."""
    found = _VERB.findall(re.sub(r"\\\n *", "", shell))
    return [shlex.split(command, comments=True)[1:] for command in found]


def _check(verb: str, *arguments: str) -> None:
    if "…" in arguments:
        given = [argument for argument in arguments if argument != "…"]
        assert flags.define(verb)(["bert-keras", *given]) == ["bert-keras"], (verb, *arguments)
    else:
        cli._parse(verb, arguments)


def _in_guide(path: pathlib.Path) -> list[list[str]]:
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    return [command for block in blocks for command in _commands(block)]


def test_commands_of_the_guides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_ROOT)
    commands = [command for path in _GUIDES for command in _in_guide(path)]
    assert len(commands) > 50
    for command in commands:
        _check(*command)


@pytest.mark.parametrize("path", _RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_run_by_the_command_that_it_states(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(_ROOT)
    lines = path.read_text("utf-8").splitlines()
    commands = _commands("\n".join(line[1:].strip() for line in lines if line.startswith("#")))
    own = [command for command in commands if f"--flagfile=configs/{path.name}" in command]
    assert len(own) == 1
    for command in commands:
        _check(*command)
