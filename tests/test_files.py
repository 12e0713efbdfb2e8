"""A file has its old contents or its new ones, whatever happens to its writer."""

from __future__ import annotations

import os
import threading

import pytest

from bert_keras.data.folder_lock import locked_folder
from bert_keras.errors import UserError
from bert_keras.files import whole_file, write_text


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "old"
        raise RuntimeError
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.jsonl", "old")]


def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "a.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_text(link, "new \ud800")
    assert link.is_symlink() and real.read_text() == "new \\ud800"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_to_at_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with whole_file(pipe) as file:
        file.write(b"answer")
    reader.join(10)
    assert read == [b"answer"] and list(tmp_path.iterdir()) == [pipe]


def test_a_full_disk_is_told_with_the_path(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, whole_file("/dev/full") as file:
        file.write(b"x" * 100_000)
    assert caught.value.filename == "/dev/full"


def test_one_program_at_a_time_holds_a_folder(tmp_path):
    with locked_folder(tmp_path / "new", "taken"):
        with pytest.raises(UserError, match="taken"), locked_folder(tmp_path / "new", "taken"):
            pass
    with locked_folder(tmp_path / "new", "taken"):
        (tmp_path / "new").rmdir()
