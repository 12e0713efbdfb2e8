"""Labels from a file, a label per line."""

from __future__ import annotations

import pathlib

import pytest

from bert_keras import flags
from bert_keras.errors import UserError
from bert_keras.flags import task_options


def _given(labels: str) -> list[str]:
    values = flags.define("finetune")
    values(["finetune", f"--labels={labels}"])
    found: list[str] = task_options.given(values)["labels"]
    return found


@pytest.mark.parametrize("prefix", ["", "@"])
def test_a_label_per_line(tmp_path: pathlib.Path, prefix: str) -> None:
    """Labels may have commas; the order is the file's, spaces and blank lines do not count."""
    path = tmp_path / "my,labels.txt"
    path.write_bytes("\ufeffO\r\nB-PER \n\nyes, no\n".encode())
    assert _given(f"{prefix}{path}") == ["O", "B-PER", "yes, no"]


def test_labels_that_name_no_file_are_labels() -> None:
    assert _given("O,B-PER,I-PER") == ["O", "B-PER", "I-PER"]
    many = [f"B-KIND-{number}" for number in range(1000)]
    assert _given(",".join(many)) == many


def test_files_that_cannot_be_read(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="^--labels=@none: cannot be read .No such file"):
        _given("@none")
    for content, message in ((b"\n", "the file is empty"), (b"\xff\xfe", "cannot be read")):
        path = tmp_path / "labels.txt"
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"^--labels={path}: {message}"):
            _given(str(path))
