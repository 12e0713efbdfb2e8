"""`bert-keras convert` between the formats."""

from __future__ import annotations

import json
import pathlib
import runpy

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bert_keras import cli
from bert_keras.commands.convert import convert
from bert_keras.errors import UserError

FIXED = runpy.run_path(str(pathlib.Path(__file__).parent.parent / "golden/fixed_weights.py"))


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A BertForPreTraining of 16-bit weights with a vocabulary and labels."""
    folder = tmp_path / "source"
    folder.mkdir()
    state = FIXED["state"](FIXED["pretraining_shapes"]())
    halves = {name: value.astype(np.float16) for name, value in state.items()}
    save_file(halves, folder / "model.safetensors")
    settings = {
        **FIXED["CONFIG"],
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.1,
        "architectures": ["BertForPreTraining"],
        "id2label": {"0": "no", "1": "yes"},
        "transformers_version": "4.57.0",
    }
    (folder / "config.json").write_text(json.dumps(settings))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{n}" for n in range(92)]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    return folder


def test_to_google_and_back_gives_the_same_tensors(source, tmp_path):
    google, back = str(tmp_path / "google"), tmp_path / "back"

    line = convert(str(source), "google_tf1", google)
    assert line.startswith(f"{google}: google_tf1, 2 layers, 32 wide")
    assert line.endswith("heads: masked_lm, next_sentence")
    line = convert(google, "huggingface", str(back))
    assert f"{back}: BertForPreTraining" in line

    before, after = load_file(source / "model.safetensors"), load_file(back / "model.safetensors")
    assert set(before) == set(after)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value.astype(np.float32), err_msg=name)
    assert (back / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()
    settings = json.loads((back / "config.json").read_text())
    assert settings["hidden_act"] == "gelu_new"
    assert settings["hidden_dropout_prob"] == 0.1


def test_labels_stay_and_weights_become_float32(source, tmp_path):
    convert(str(source), "huggingface", str(tmp_path / "out"), hidden_act="gelu")

    settings = json.loads((tmp_path / "out/config.json").read_text())
    assert settings["id2label"] == {"0": "no", "1": "yes"}
    assert settings["hidden_act"] == "gelu"
    assert settings["torch_dtype"] == "float32"
    assert "transformers_version" not in settings
    stored = load_file(tmp_path / "out/model.safetensors")
    assert {value.dtype for value in stored.values()} == {np.dtype(np.float32)}


def test_exact_gelu_is_not_written_for_google_without_a_word(source, tmp_path):
    settings = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(settings | {"hidden_act": "gelu"}))

    with pytest.raises(UserError, match="give --hidden_act=gelu_new"):
        convert(str(source), "google_tf1", str(tmp_path / "google"))
    convert(str(source), "google_tf1", str(tmp_path / "google"), hidden_act="gelu_new")
    assert json.loads((tmp_path / "google/bert_config.json").read_text())["hidden_act"] == "gelu"


def test_the_verb_prints_one_line(source, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = ["convert", f"--from={source}", "--to=google_tf1", f"--output={output}"]

    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"{output}: google_tf1, 2 layers")
    assert cli.main([*arguments, "--hidden_act=gelu"]) == 2
    assert "give --hidden_act=gelu_new" in capsys.readouterr().err
    assert cli.main([*arguments, "--hidden_act=gelu_newer"]) == 2
    assert "hidden_act 'gelu_newer' is unknown" in capsys.readouterr().err


def test_annotations_become_tagged_sentences(tmp_path, capsys) -> None:
    """Whole words are tagged; a row that cannot be used is left out and written down."""
    rows = [{"text": "Ada in Rome", "label": [[0, 3, "PER"], [7, 11, "LOC"]]}]
    rows.append({"text": "Ada", "label": [[0, 2, "PER"]]})
    source, output = tmp_path / "doccano.jsonl", tmp_path / "train.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["convert", f"--from={source}", f"--output={output}", "--to=tagged_sentences"]
    assert cli.main(arguments) == 2
    reason = "the span 0 to 2 (PER) begins or ends inside the word 'Ada' (0 to 3), expected whole"
    assert f"{source}:2: {reason} words (--bad_rows=skip " in capsys.readouterr().err
    assert not output.exists()
    assert cli.main([*arguments, "--bad_rows=skip"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"{output}: 1 sentences, 3 words, 2 entities, from the form of doccano; left out 1 row(s), "
        f"see {tmp_path}/train.skipped_rows.jsonl; the first: {source}:2: {reason}"
    )
    (line,) = output.read_text().splitlines()
    assert json.loads(line) == {"words": ["Ada", "in", "Rome"], "tags": ["B-PER", "O", "B-LOC"]}
    (line,) = (tmp_path / "train.skipped_rows.jsonl").read_text().splitlines()
    assert json.loads(line)["row"] == rows[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to=tagged_sentences", "--hidden_act=gelu"], "--hidden_act: is for checkpoints"),
        (["--bad_rows=skip"], "--bad_rows: is for --to=tagged_sentences, not huggingface"),
        (["--to=tagged_sentences"], "is a folder, expected a file"),
    ],
)
def test_flags_of_the_other_kind(tmp_path, capsys, arguments, message) -> None:
    source = tmp_path / "x.jsonl"
    source.mkdir()
    output = f"--output={tmp_path}/out"
    assert cli.main(["convert", f"--from={source}", output, *arguments]) == 2
    assert message in capsys.readouterr().err
