"""The Beam pipeline writes the very store that threads write, on any file system."""

from __future__ import annotations

import filecmp
import pathlib

import pytest

beam = pytest.importorskip("apache_beam", reason="apache-beam (the extra `beam`) is not installed")

from apache_beam.io import localfilesystem  # noqa: E402

from bert_keras.data import beam_prepare  # noqa: E402
from bert_keras.data.prepare import PrepareSettings, prepare  # noqa: E402
from bert_keras.data.store import CorpusStore  # noqa: E402
from bert_keras.errors import UserError  # noqa: E402
from bert_keras.tokenization import BertTokenizer  # noqa: E402

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", ".", "!"]
SETTINGS = PrepareSettings(documents="blank_line")


class PrefixedFileSystem(localfilesystem.LocalFileSystem):
    """Files of this machine under names such as `prefixed:///folder/file`."""

    @classmethod
    def scheme(cls):
        return "prefixed"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def match(self, patterns, limits=None):
        results = super().match([_local(pattern) for pattern in patterns], limits)
        for result in results:
            for file in result.metadata_list:
                file.path = "prefixed://" + file.path
        return results

    def create(self, path, *arguments, **options):
        return super().create(_local(path), *arguments, **options)

    def open(self, path, *arguments, **options):
        return super().open(_local(path), *arguments, **options)

    def exists(self, path):
        return super().exists(_local(path))


def _local(path: str) -> str:
    return path.removeprefix("prefixed://")


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return BertTokenizer(PIECES)


@pytest.fixture
def corpus(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(3):
        documents = [f"A b c. D e{' f' * (number + k)}!\nG h." for k in range(20)]
        (folder / f"{number}.txt").write_text("\n\n".join(documents), encoding="utf-8")
    return folder


def _with_beam(corpus, tokenizer, output):
    return beam_prepare.prepare_with_beam(
        corpus, tokenizer, str(output), SETTINGS, "DirectRunner", piece_bytes=300
    )


def _assert_same(left: pathlib.Path, right: pathlib.Path, but: tuple[str, ...] = ()) -> None:
    names = sorted(path.name for path in left.iterdir())
    assert names == sorted(path.name for path in right.iterdir())
    same, *_ = filecmp.cmpfiles(left, right, [n for n in names if not n.endswith(but)], False)
    assert len(same) == sum(not name.endswith(but) for name in names)


def test_threads_and_beam_write_the_same_bytes(tmp_path, corpus, tokenizer):
    prepare(f"{corpus}/*.txt", tokenizer, tmp_path / "threads", SETTINGS, 2, piece_bytes=300)
    _with_beam(f"{corpus}/*.txt", tokenizer, tmp_path / "beam")
    _assert_same(tmp_path / "threads", tmp_path / "beam")
    assert len(CorpusStore.open(tmp_path / "beam").manifest.shards) > 3
    # What threads began, Beam finishes.
    (tmp_path / "threads" / "manifest.json").unlink()
    (tmp_path / "threads" / "00001.json").unlink()
    (tmp_path / "threads" / "00001.tokens").write_bytes(b"damaged")
    _with_beam(f"{corpus}/*.txt", tokenizer, tmp_path / "threads")
    _assert_same(tmp_path / "threads", tmp_path / "beam")
    with pytest.raises(UserError, match="made from other files"):
        _with_beam(f"{corpus}/0.txt", tokenizer, tmp_path / "beam")


def test_file_systems_of_beam(tmp_path, corpus, tokenizer):
    prepare(f"{corpus}/*.txt", tokenizer, tmp_path / "threads", SETTINGS, 1, piece_bytes=300)
    output = tmp_path / "beam"
    output.mkdir()
    for _ in range(2):
        _with_beam(f"prefixed://{corpus}/*.txt", tokenizer, f"prefixed://{output}")
    # Records and settings state the names of the files, which have a scheme here.
    numbers = tuple(f"{shard:05d}.json" for shard in range(20))
    _assert_same(tmp_path / "threads", output, but=("prepare.json", *numbers))
    with pytest.raises(UserError, match="made from other files"):
        _with_beam(f"prefixed://{corpus}/0.txt", tokenizer, f"prefixed://{output}")
    with pytest.raises(UserError, match="matches no file"):
        _with_beam(f"prefixed://{corpus}/x*", tokenizer, f"prefixed://{output}")
