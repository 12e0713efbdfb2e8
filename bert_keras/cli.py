"""The command line: finds the verb, reads its flags, and turns bad input into one line."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.abc
import importlib.metadata
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from absl import flags

from bert_keras import flags as verb_flags
from bert_keras.errors import UserError

_PROGRAM = "bert-keras"
_BAD_INPUT = 2
_INTERRUPTED = 130
_BROKEN_PIPE = 141
_HELP_WIDTH = 100
_HELP_INDENT = 32
_HELP = frozenset({"--help", "-h", "-help"})
_KERAS_EXTRAS = ("matplotlib", "pandas", "sklearn")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `bert-keras VERB --flags`.

    Args:
        argv: the arguments after the program's name; those of the process if None.

    Returns:
        The exit status: 0, the verb's own, 2 for bad input (one line on the standard error),
        130 when interrupted, 141 when whoever reads the standard output has gone.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    try:
        status = _answer(verb, rest)
        sys.stdout.flush()
        return status
    except UserError as error:
        return _complain(verb, _with_flags(verb, str(error)))
    except BrokenPipeError:
        # The interpreter would raise it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except OSError as error:
        if error.filename is None:
            raise
        return _complain(verb, f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        print(f"{_PROGRAM} {verb}: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _answer(verb: str, rest: Sequence[str]) -> int:
    """Prints help, or runs the verb, and returns the exit status."""
    if verb in _HELP or verb == "help":
        print(_help(rest[0]) if rest and rest[0] in verb_flags.VERBS else _overview())
    elif verb == "--version":
        print(_version())
    elif verb not in verb_flags.VERBS:
        near = _closest(verb, verb_flags.VERBS)
        return _complain("", f"unknown verb {verb!r}{near}; see {_PROGRAM} --help")
    elif not _HELP.isdisjoint(rest):
        print(_help(verb))
    else:
        return _run(verb, _parse(verb, rest))
    return 0


def _run(verb: str, values: flags.FlagValues) -> int:
    # TensorFlow's notes on start-up would bury the one line that a user must see; even a machine
    # without a GPU gets one at its level 2, error. What fails is raised all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _lean_keras():
        status: int = importlib.import_module(f"bert_keras.commands.{verb}").run(values)
    return status


class _KerasExtras(importlib.abc.MetaPathFinder):
    """Packages that Keras tries to import for wrappers and plots which no verb uses.

    They take a third of the time that a verb needs to start. Keras does without them; once it
    has been imported, they can be.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        keras = sys.modules.get("keras")
        if name in _KERAS_EXTRAS and keras is not None and not hasattr(keras, "__version__"):
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)


@contextlib.contextmanager
def _lean_keras() -> Iterator[None]:
    """Within it, Keras is imported without what it does not need."""
    finder = _KerasExtras()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _parse(verb: str, arguments: Sequence[str]) -> flags.FlagValues:
    """The verb's flags with the values given.

    Raises:
        UserError: a flag is unknown, is not valid or is missing, or there is another argument.
    """
    values = verb_flags.define(verb)
    try:
        unparsed = values([_PROGRAM, *arguments])
    except flags.UnrecognizedFlagError as error:
        raise UserError(
            f"unknown flag --{error.flagname}{_closest(error.flagname, values, '--')}; "
            f"see {_PROGRAM} {verb} --help"
        ) from None
    except flags.Error as error:
        raise UserError(_explain(str(error), values)) from None
    if len(unparsed) > 1:
        raise UserError(f"unexpected argument {unparsed[1]!r}, expected --flag=value")
    lacking = verb_flags.missing(verb, values)
    if lacking:
        raise UserError(f"--{lacking} is required: {values[lacking].help}")
    return values


def _explain(message: str, values: flags.FlagValues) -> str:
    """absl's message, with what the flag expects in place of what Python said of the value."""
    match = re.match(r"flag --(\w+)=(.*?): ", message)
    if not match or match[1] not in values:
        return message.removeprefix("ERROR::").strip()
    parser = values[match[1]].parser
    choices = getattr(parser, "enum_values", None)
    expected = " or ".join(choices) if choices else parser.syntactic_help or "true or false"
    return f"--{match[1]}={match[2]} is not valid, expected {expected}"


def _with_flags(verb: str, message: str) -> str:
    """Returns a message of the library with its arguments, such as `encoding=`, as flags."""
    names = "|".join(verb_flags.define(verb))
    return re.sub(rf"(?<=[ (])({names})=(?=\S)", r"--\1=", message)


def _complain(verb: str, message: str) -> int:
    where = f"{_PROGRAM} {verb}".rstrip()
    print(f"{where}: error: {' '.join(message.split())}", file=sys.stderr)
    return _BAD_INPUT


def _closest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """`, did you mean X?` where a known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {prefix}{near[0]}?" if near else ""


def _version() -> str:
    try:
        return f"{_PROGRAM} {importlib.metadata.version('bert-keras')}"
    except importlib.metadata.PackageNotFoundError:
        return f"{_PROGRAM} (run from its source tree, not installed)"


def _overview() -> str:
    width = max(map(len, verb_flags.VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {line}" for verb, line in verb_flags.VERBS.items())
    return (
        f"BERT for Keras 3 and TensorFlow Serving.\n\n"
        f"usage: {_PROGRAM} VERB [--flag=value …]\n\n{verbs}\n\n"
        f"{_PROGRAM} VERB --help lists the flags of a verb; "
        "--flagfile=FILE reads flags from a file, one a line."
    )


def _help(verb: str) -> str:
    values = verb_flags.define(verb)
    lines = [f"{_PROGRAM} {verb}: {verb_flags.VERBS[verb]}", ""]
    for name in values:
        lines += _flag_help(values[name])
    return "\n".join(lines)


def _flag_help(flag: flags.Flag) -> list[str]:
    """`  --name=default` and the meaning beside it, folded to 100 columns."""
    head = f"  --{flag.name}"
    if flag.boolean:
        head = f"  --[no]{flag.name}"
    elif flag.default is not None:
        head += f"={flag.default_as_str.strip(chr(39))}"
    folded = textwrap.wrap(flag.help, _HELP_WIDTH - _HELP_INDENT)
    margin = " " * _HELP_INDENT
    if len(head) > _HELP_INDENT - 2:
        return [head, *(margin + line for line in folded)]
    return [head.ljust(_HELP_INDENT) + folded[0], *(margin + line for line in folded[1:])]
