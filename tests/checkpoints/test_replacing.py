"""A folder's files change together or not at all."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

import pytest

from bert_keras.checkpoints import replacing
from bert_keras.checkpoints.replacing import replacing_files


def contents(folder: pathlib.Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_new_directory_appears_whole(tmp_path):
    target = tmp_path / "deep" / "model"
    with replacing_files(target) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "a").write_text("1")
        assert not target.exists()

    assert contents(tmp_path) == {"deep/model/inner/a": "1"}


def test_files_are_replaced_and_others_stay(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("a", "mine", "inner/b"):
        (tmp_path / name).write_text("old")

    with replacing_files(tmp_path) as folder:
        (folder / "inner").mkdir()
        for name in ("a", "inner/b"):
            (folder / name).write_text("new")
        assert (tmp_path / "a").read_text() == "old"

    assert contents(tmp_path) == {"a": "new", "mine": "old", "inner/b": "new"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "inner", "mine"]


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_leaves_all_as_it_was(exists, tmp_path):
    target = tmp_path / "model"
    if exists:
        target.mkdir()
        (target / "a").write_text("old")
    before = contents(tmp_path)

    with pytest.raises(RuntimeError), replacing_files(target) as folder:
        (folder / "a").write_text("half")
        raise RuntimeError

    assert contents(tmp_path) == before
    assert target.exists() == exists


def test_a_killed_process_leaves_no_half_file_and_the_next_save_cleans_up(tmp_path):
    (tmp_path / "a").write_text("old")
    # By path: importing the package would wait for TensorFlow.
    program = (
        "import os, runpy, sys; replacing = runpy.run_path(sys.argv[2])['replacing_files']\n"
        "with replacing(sys.argv[1]) as folder:\n"
        "    (folder / 'a').write_text('half'); (folder / 'c').write_text('left behind')\n"
        "    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path), replacing.__file__])
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_text() == "old"

    with replacing_files(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "a").write_text("new")
    assert contents(tmp_path) == {"a": "new"}
