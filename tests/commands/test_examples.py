"""The verb `examples`: from a store on disk to files that train elsewhere."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from bert_keras import cli
from bert_keras.data.pretraining_examples import ExampleSettings, StoreExamples
from bert_keras.data.store import CorpusStore
from bert_keras.data.tfrecord import TFRecordExamples

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sat ran on a mat road ##s . and it we saw"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A store of twelve documents."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY.split()) + "\n", "utf-8")
    random = np.random.default_rng(0)
    words = VOCABULARY.split()[5:14]
    documents = [
        "\n".join(" ".join(random.choice(words, random.integers(3, 9))) for _ in range(30))
        for _ in range(12)
    ]
    (folder / "text.txt").write_text("\n\n".join(documents) + "\n", "utf-8")
    flags = {
        "corpus": folder / "text.txt",
        "documents": "blank_line",
        "sentences": "line",
        "vocab": folder / "vocab.txt",
        "output_dir": folder / "store",
    }
    assert cli.main(["prepare", *(f"--{name}={value}" for name, value in flags.items())]) == 0
    return folder / "store"


def test_the_files_hold_the_examples_of_the_store(
    store: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = tmp_path / "out" / "x"
    arguments = ["--seq_length=24", "--masking=whole_word", "--dupe_factor=2", "--seed=3"]
    command = ["examples", f"--corpus={store}", f"--output={prefix}", "--shards=2", *arguments]
    assert cli.main(command) == 0
    written = TFRecordExamples(f"{prefix}-*.tfrecord", 24, 4)
    source = StoreExamples(
        CorpusStore.open(store), ExampleSettings(seq_length=24, masking="whole_word", seed=3)
    )
    windows = [source.window(epoch, 0) for epoch in range(2)]
    made = [window.batch(np.arange(len(window))) for window in windows]
    expected = {name: np.concatenate([batch[name] for batch in made]) for name in made[0]}
    count = len(expected["token_ids"])
    order = np.concatenate([np.arange(count)[0::2], np.arange(count)[1::2]])
    found = written.read(np.arange(len(written)))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values[order], name)
    captured = capsys.readouterr()
    assert f"{count:,} examples of 24 tokens with 4 predictions in 2 files" in captured.out
    assert "examples: " in captured.err
    assert cli.main(command) == 2
    assert "tfrecord already" in capsys.readouterr().err


def test_bad_input_is_one_line(
    tmp_path: pathlib.Path, store: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        ([f"--corpus={tmp_path}"], str(tmp_path)),
        ([f"--corpus={store}", "--seq_length=3"], "--seq_length=3"),
        ([f"--corpus={store}", "--max_predictions=500"], "--max_predictions=500"),
    ):
        assert cli.main(["examples", f"--output={tmp_path}/x", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
