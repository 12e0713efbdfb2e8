"""The command line: help at once, one line for every kind of bad input, exit statuses."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import types

import pytest

from bert_keras import cli, flags
from bert_keras.errors import UserError

_MODEL_CODE = {"tensorflow", "keras"}
_HEAVY = _MODEL_CODE | {"numpy"}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Stands in for the verb `evaluate`; set its `run`."""
    module = types.ModuleType("bert_keras.commands.evaluate")
    module.run = lambda values: 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def _evaluate(*arguments: str) -> int:
    return cli.main(["evaluate", "--model=m", "--data=d", *arguments])


def _imported(script: str) -> set[str]:
    """The packages in a new process that has run a script."""
    script += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_help_imports_nothing_heavy() -> None:
    script = (
        "from bert_keras import cli, flags\n"
        "for arguments in ([], ['--help'], *([verb, '--help'] for verb in flags.VERBS)):\n"
        "    assert cli.main(arguments) == 0"
    )
    assert not _imported(script) & _HEAVY


@pytest.mark.parametrize(
    "statement",
    [
        "import bert_keras; dir(bert_keras)",
        "from bert_keras import BertConfig, UserError; BertConfig.named('base')",
        # A verb's module: these answer without a model, or say so before they load one.
        *(f"import bert_keras.commands.{verb}" for verb in ("vocab", "predict", "serve", "demo")),
    ],
)
def test_an_import_brings_no_model_code(statement: str) -> None:
    assert not _imported(statement) & _MODEL_CODE


def test_reading_a_corpus_brings_no_tensorflow() -> None:
    script = "import bert_keras.data.example_stream, bert_keras.data.store"
    assert not _imported(script) & _MODEL_CODE


def test_a_verb_brings_nothing_that_it_does_not_use(tmp_path: pathlib.Path) -> None:
    script = (
        "from bert_keras import cli\n"
        f"status = cli.main(['evaluate', '--model={tmp_path}', '--data=none.tsv'])\n"
        "assert status == 2"
    )
    imported = _imported(script)
    assert imported >= _MODEL_CODE
    unused = {"apache_beam", "matplotlib", "orbit", "sklearn", "tensorflow_datasets", "tf_keras"}
    assert not imported & unused


def test_what_keras_is_spared_can_be_imported_afterwards() -> None:
    script = (
        "import sys\n"
        "from bert_keras import cli\n"
        "with cli._lean_keras():\n"
        "    import keras\n"
        "    assert 'matplotlib' not in sys.modules\n"
        "    import matplotlib"
    )
    assert "matplotlib" in _imported(script)


@pytest.mark.parametrize("verb", flags.VERBS)
def test_help_of_a_verb_names_every_flag(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    for name in flags.define(verb):
        assert f"--{name}" in shown or f"--[no]{name}" in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("verb", flags.VERBS)
def test_every_verb_has_its_command(verb: str) -> None:
    assert importlib.util.find_spec(f"bert_keras.commands.{verb}") is not None


@pytest.mark.parametrize("verb", flags.VERBS)
def test_the_guide_names_every_flag(verb: str) -> None:
    guide = pathlib.Path(__file__).parents[1] / "docs" / "command_line.md"
    sections = guide.read_text(encoding="utf-8").split("\n## ")
    section = next(text for text in sections if text.startswith(f"{verb}\n"))
    missing = [name for name in flags.define(verb) if not re.search(rf"--{name}\b", section)]
    assert not missing


def test_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {verb} " in shown for verb in flags.VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bert-keras ")


def test_design_defaults() -> None:
    expected = {
        "task": "classification",
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 5e-5,
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "precision": "float32",
        "strategy": "auto",
    }
    values = flags.define("finetune")
    assert {name: values[name].default for name in expected} == expected
    assert flags.define("serve")["port"].default == 8500


def test_the_tasks_of_the_flag_are_those_there_are() -> None:
    from bert_keras.tasks import TASKS

    assert flags.define("finetune")["task"].parser.enum_values == list(TASKS)
    assert TASKS["classification"].default_length == 128


def test_flags_reach_the_command(command: types.ModuleType, tmp_path: pathlib.Path) -> None:
    seen = {}

    def run(values: object) -> int:
        seen.update(model=values.model, data=values.data, size=values.batch_size)  # type: ignore
        return 5

    command.run = run  # type: ignore[attr-defined]
    recipe = tmp_path / "a.flags"
    recipe.write_text("# a comment\n--data=tfds:glue/sst2:train\n--batch_size=7\n")
    assert cli.main(["evaluate", "--model", "m", f"--flagfile={recipe}", "--batch_size=8"]) == 5
    assert seen == {"model": "m", "data": "tfds:glue/sst2:train", "size": 8}


def test_two_runs_do_not_share_values(command: types.ModuleType) -> None:
    sizes = []
    command.run = lambda values: sizes.append(values.batch_size) or 0  # type: ignore
    assert _evaluate("--batch_size=3") == 0
    assert _evaluate() == 0
    assert sizes == [3, flags.define("evaluate")["batch_size"].default]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fientune"], "bert-keras: error: unknown verb 'fientune', did you mean finetune?"),
        (["xyz"], "bert-keras: error: unknown verb 'xyz'; see bert-keras --help"),
        (["evaluate", "--modle=m"], "unknown flag --modle, did you mean --model?"),
        (["evaluate", "--qqq"], "unknown flag --qqq; see bert-keras evaluate --help"),
        (["evaluate", "--model=m", "data"], "unexpected argument 'data', expected --flag=value"),
        (["evaluate", "--data=d"], "--model is required: a model directory"),
        (["evaluate", "--model"], "Missing value for flag --model"),
        (
            ["finetune", "--task=parsing"],
            "--task=parsing is not valid, expected classification",
        ),
        (
            ["finetune", "--precision=float16"],
            "--precision=float16 is not valid, expected float32 or bfloat16",
        ),
        (["finetune", "--epochs=0"], "--epochs=0 is not valid, expected a positive integer"),
        (["finetune", "--epochs=x"], "--epochs=x is not valid, expected a positive integer"),
        (["finetune", "--warmup_ratio=2"], "--warmup_ratio=2 is not valid, expected a number in"),
        (["finetune", "--cased=x"], "--cased=x is not valid, expected true or false"),
        (["finetune", "--flagfile=/no/such"], "No such file or directory: '/no/such'"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("bert-keras")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def _raise(error: BaseException) -> object:
    def run(values: object) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("dev.tsv:3: bad\n  row"), 2, "evaluate: error: dev.tsv:3: bad row\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "out/x"),
            2,
            "evaluate: error: out/x: Permission denied\n",
        ),
        (KeyboardInterrupt(), 130, "evaluate: interrupted\n"),
    ],
)
def test_failures_in_a_command(
    command: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    command.run = _raise(error)  # type: ignore[attr-defined]
    assert _evaluate() == status
    assert capsys.readouterr().err == f"bert-keras {message}"


def test_mistakes_of_ours_keep_their_traceback(command: types.ModuleType) -> None:
    for error in (KeyError("x"), OSError("no file named"), ValueError("ours")):
        command.run = _raise(error)  # type: ignore[attr-defined]
        with pytest.raises(type(error)):
            _evaluate()


def test_a_reader_that_leaves_is_no_error(tmp_path: pathlib.Path) -> None:
    script = (
        "import sys, types\n"
        "from bert_keras import cli\n"
        "module = types.ModuleType('bert_keras.commands.evaluate')\n"
        "module.run = lambda values: print('x' * 1000000) or 0\n"
        "sys.modules[module.__name__] = module\n"
        "sys.exit(cli.main(['evaluate', '--model=m', '--data=d']))\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", script], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_python_m(tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bert_keras", "serv"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("bert-keras: error: unknown verb 'serv', did you mean serve?")


@pytest.mark.parametrize("arguments", [["--help"], ["pretrain", "--help"], ["--version"]])
def test_help_into_a_pipe_that_is_closed(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "bert_keras", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("grpc", ["serve", "--model_name=m", "--model_base_path=none"]),
        pytest.param(
            "tensorflow_serving", ["predict", "--server=localhost:1"], marks=pytest.mark.slow
        ),
    ],
)
def test_what_needs_the_extra_serving_says_so(package: str, arguments: list[str]) -> None:
    script = f"import sys; sys.modules[{package!r}] = None; from bert_keras import cli; "
    script += f"sys.exit(cli.main({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.endswith(
        f"bert-keras {arguments[0]}: error: the package {package} is not installed, expected pip "
        "install 'bert-keras[serving]'\n"
    )
