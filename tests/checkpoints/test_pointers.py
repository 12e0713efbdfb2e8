"""Files that git-lfs did not fetch are called what they are, in every format."""

from __future__ import annotations

import pathlib

import pytest

from bert_keras import checkpoints
from bert_keras.errors import UserError

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 440449768\n"


def _assert_named(folder: pathlib.Path, file: str) -> None:
    with pytest.raises(UserError) as error:
        checkpoints.load(folder)
    message = str(error.value)
    assert message.startswith(f"{folder / file}: is a git-lfs pointer, not the file itself")
    assert "`git lfs pull`" in message and "\n" not in message


@pytest.mark.parametrize(
    "file",
    ["model.safetensors", "vocab.txt", "config.json", "tokenizer.json", "tokenizer_config.json"],
)
def test_files_of_a_model_directory(file, write, state):
    folder = write(state)
    (folder / file).write_text(POINTER)
    _assert_named(folder, file)


@pytest.mark.parametrize("file", ["pytorch_model.bin", "tf_model.h5"])
def test_weights_of_another_format(file, write):
    folder = write(None)
    (folder / file).write_text(POINTER)
    _assert_named(folder, file)


def test_weights_of_another_format_alone(write):
    folder = write(None, architectures=["BertForMaskedLM"])
    (folder / "tf_model.h5").write_bytes(b"\x89HDF")
    with pytest.raises(UserError) as error:
        checkpoints.load_encoder(folder)
    assert str(error.value) == (
        f"{folder}: has tf_model.h5 only, expected model.safetensors; transformers 4.57 writes it: "
        f"BertForMaskedLM.from_pretrained('{folder}', from_tf=True).save_pretrained('{folder}')"
    )


@pytest.mark.parametrize("file", ["bert_config.json", "vocab.txt", "bert_model.ckpt.data-00000"])
def test_files_of_a_google_directory(file, tmp_path):
    settings = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "hidden_act": "gelu"}
    settings |= {"num_attention_heads": 2, "intermediate_size": 8, "type_vocab_size": 2}
    settings |= {"max_position_embeddings": 8}
    (tmp_path / "bert_config.json").write_text(str(settings).replace("'", '"'))
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n")
    (tmp_path / "bert_model.ckpt.index").write_bytes(b"")
    (tmp_path / file).write_text(POINTER)
    _assert_named(tmp_path, file)
