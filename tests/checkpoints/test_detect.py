"""Which format `--init` names, and what is said when it names none."""

from __future__ import annotations

import pytest

from bert_keras import checkpoints
from bert_keras.errors import UserError


def test_a_size_gives_random_weights():
    checkpoint = checkpoints.open_checkpoint("size:L-2_H-64")
    encoder = checkpoint.encoder(config={"vocab_size": 50})

    assert checkpoint.format == "size"
    assert encoder.config.num_hidden_layers == 2
    assert encoder.config.vocab_size == 50
    assert encoder.add_pooler
    assert not checkpoint.has_head("masked_lm")
    assert not checkpoint.encoder(add_pooler=False, config={"vocab_size": 50}).add_pooler
    with pytest.raises(UserError, match="size:L-2_H-64: random weights come without a vocab"):
        checkpoint.tokenizer()
    with pytest.raises(UserError, match="there is no masked_lm head to read"):
        checkpoint.head("masked_lm")
    with pytest.raises(UserError, match="there are no tensors to read"):
        checkpoint.store()


def test_unknown_sizes_are_refused():
    with pytest.raises(UserError, match="size 'huge' is unknown; expected tiny, mini"):
        checkpoints.load_encoder("size:huge")


def test_what_was_found_and_what_was_expected_is_said(tmp_path):
    with pytest.raises(UserError, match="found nothing; expected a model directory"):
        checkpoints.load_encoder(tmp_path)
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text("")
    with pytest.raises(UserError, match="found 0.txt, 1.txt, .*, 7.txt, …; expected"):
        checkpoints.load_encoder(tmp_path)
    with pytest.raises(UserError, match="0.txt: is a file; expected"):
        checkpoints.load_encoder(tmp_path / "0.txt")
    with pytest.raises(UserError, match="none: does not exist; expected .* kerashub:NAME"):
        checkpoints.load_encoder(tmp_path / "none")


def test_a_damaged_config_is_named_with_its_line(tmp_path):
    (tmp_path / "config.json").write_text('{\n"model_type": "bert",\n"hidden_size": }')
    with pytest.raises(UserError, match="config.json:3: is not JSON"):
        checkpoints.load_encoder(tmp_path)


def test_safetensors_come_first_where_formats_share_a_folder(write, state, monkeypatch):
    folder = write(state)
    (folder / "bert_config.json").write_text("{}")
    (folder / "bert_model.ckpt.index").write_text("")
    monkeypatch.chdir(folder)

    assert checkpoints.open_checkpoint(".").format == "huggingface"
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="bert_config.json: missing vocab_size"):
        checkpoints.open_checkpoint(".")
