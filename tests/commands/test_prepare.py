"""`bert-keras prepare`: flags, the line it prints, progress, and errors of one line."""

from __future__ import annotations

import io
import pathlib

import pytest

from bert_keras import cli
from bert_keras.commands import progress
from bert_keras.data.store import CorpusStore

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "end", "The", "."]


@pytest.fixture
def flags(tmp_path: pathlib.Path) -> list[str]:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    (tmp_path / "a.txt").write_text("The end. The end.\n\nThe end")
    (tmp_path / "b.txt").write_text("the")
    names = (f"--corpus={tmp_path}/a.txt,{tmp_path}/b*", f"--vocab={tmp_path}/vocab.txt")
    return ["prepare", *names, f"--output_dir={tmp_path}/store"]


def _tokens(folder: pathlib.Path) -> list[str]:
    store = CorpusStore.open(folder / "store")
    return [PIECES[i] for i in store.read_blocks(range(store.blocks)).tokens]


def test_a_store_and_one_line(flags, tmp_path, capsys):
    assert cli.main([*flags, "--threads=1"]) == 0
    printed = capsys.readouterr()
    expected = f"{tmp_path}/store: 2 documents, 4 sentences, 9 tokens in 1 shards, "
    assert printed.out.startswith(expected) and printed.out.count("\n") == 1
    assert "prepare: 0.0 of 0.0 MB (100%)" in printed.err
    assert _tokens(tmp_path) == "the end . the end . the end the".split()


def test_flags_reach_the_store(flags, tmp_path):
    more = ["--cased", "--documents=blank_line", "--sentences=line"]
    assert cli.main([*flags, *more]) == 0
    manifest = CorpusStore.open(tmp_path / "store").manifest
    assert (manifest.documents, manifest.sentences, manifest.lowercase) == (3, 3, False)
    assert manifest.settings["sentences"] == "line"
    assert _tokens(tmp_path)[0] == "The"


def test_json_lines(flags, tmp_path, capsys):
    (tmp_path / "a.txt").write_text('{"body": "The end."}\n{"body": 1}')
    assert cli.main([*flags, "--documents=jsonl", "--text_field=body"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith(f"{tmp_path}/a.txt:2: 'body' is 1, not a string, expected an object "
                          "with 'body'")  # fmt: skip


@pytest.mark.parametrize(
    "change, message",
    [
        ("--corpus=none/*.txt", "--corpus=none/*.txt: matches no file"),
        ("--vocab=none.txt", "none.txt: cannot read the vocabulary"),
        ("--sentences=german", "--sentences=german is not valid, expected english or"),
        ("--threads=-1", "--threads=-1 is not valid"),
    ],
)
def test_errors_are_one_line(flags, capsys, change, message):
    assert cli.main([*flags, change]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_with_beam(flags, tmp_path):
    pytest.importorskip("apache_beam", reason="apache-beam (extra `beam`) is not installed")
    options = ["--beam_runner=DirectRunner", "--beam_option=direct_num_workers=1"]
    assert cli.main([*flags, *options]) == 0
    assert len(_tokens(tmp_path)) == 9


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_and_in_a_log(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    terminal, log = _Terminal(), io.StringIO()
    shown = [progress.ByteProgress("prepare", stream) for stream in (terminal, log)]
    for seconds in range(1, 21):
        now[0] = 100.0 + seconds
        for each in shown:
            each(20_000_000 + seconds * 2_000_000, 8_000_000_000, 20_000_000)
    for each in shown:
        each.end()
    first = "prepare: 22.0 of 8,000.0 MB (0%), 2.0 MB/s, 1:06:29 left"
    assert terminal.getvalue().startswith(f"\r{first}\r") and terminal.getvalue().endswith("\n")
    assert terminal.getvalue().count("\r") == 20
    assert log.getvalue().splitlines() == [
        first,
        "prepare: 42.0 of 8,000.0 MB (1%), 2.0 MB/s, 1:06:19 left",
    ]
