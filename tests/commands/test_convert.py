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
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import read_tagged
from bert_keras.errors import UserError
from tests import small

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


# Annotations.

_ROWS = [
    {"text": "Ada Lovelace slept", "label": [[0, 12, "PER"]]},
    {"text": "un-happy in Rome", "label": [[3, 5, "X"], [12, 16, "LOC"]]},
] * 6
_BAD = {"text": "Bob", "label": [[0, 9, "PER"]]}


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["convert", f"--from={path}", "--to=tagged_sentences", f"--output={path.parent}/t.jsonl"]


def test_annotations_become_tagged_sentences(tmp_path, capsys):
    assert cli.main(_write(tmp_path / "a.jsonl", _ROWS)) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/t.jsonl: 12 sentences from doccano, types: LOC, PER, X, 6 words divided at "
        "spans, 0 spans moved to their text, 0 rows skipped\n"
    )
    written = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    words = ["un", "-", "ha", "ppy", "in", "Rome"]
    assert written[:2] == [
        {"words": ["Ada", "Lovelace", "slept"], "tags": ["B-PER", "I-PER", "O"]},
        {"words": words, "tags": ["O", "O", "B-X", "O", "O", "B-LOC"]},
    ]
    read = read_tagged(DataSource(f"{tmp_path}/t.jsonl"))
    assert [read.row(index) for index in range(12)] == written


def test_bad_annotations(tmp_path, capsys, caplog):
    arguments = _write(tmp_path / "a.jsonl", [*_ROWS, _BAD])
    assert cli.main(arguments) == 2
    assert f"{tmp_path}/a.jsonl:13: span 0 to 9" in (error := capsys.readouterr().err)
    assert error.endswith("(--bad_rows=skip leaves such rows out)\n") and error.count("\n") == 1
    assert not (tmp_path / "t.jsonl").exists()
    assert cli.main([*arguments, "--bad_rows=skip"]) == 0
    assert "12 sentences" in (shown := capsys.readouterr()).out and "1 rows skipped" in shown.out
    assert f"skipped {tmp_path}/a.jsonl:13: span 0 to 9" in caplog.text + shown.err


def test_the_encoding_of_annotations(tmp_path):
    (tmp_path / "a.csv").write_bytes(
        "Sentence #,Word,POS,Tag\nSentence: 1,caf\u00e9,X,O\n".encode("cp1252")
    )
    arguments = [f"--from={tmp_path}/a.csv", f"--output={tmp_path}/t.jsonl", "--encoding=cp1252"]
    assert cli.main(["convert", "--to=tagged_sentences", *arguments]) == 0
    written = json.loads((tmp_path / "t.jsonl").read_text(encoding="utf-8"))
    assert written == {"words": ["caf\u00e9"], "tags": ["O"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to=tagged_sentences", "--hidden_act=gelu"], "--hidden_act=gelu: is for checkpoints"),
        (["--encoding=cp1252"], "--encoding=cp1252: is for --to=tagged_sentences, not --to=hugg"),
        (["--to=onnx", "--bad_rows=skip"], "--bad_rows=skip: is for --to=tagged_sentences, not --"),
        (["--to=tagged_sentences"], "out: expected a name that ends in .jsonl"),
    ],
)
def test_flags_of_the_other_conversion(tmp_path, capsys, arguments, message):
    (tmp_path / "a.jsonl").write_text(json.dumps(_ROWS[0]))
    paths = [f"--from={tmp_path}/a.jsonl", f"--output={tmp_path}/out"]
    assert cli.main(["convert", *paths, *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_converted_annotations_train(tmp_path):
    assert cli.main(_write(tmp_path / "a.jsonl", _ROWS)) == 0
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    arguments = [
        *("--task=tagging", "--init=size:L-1_H-64", f"--vocab={tmp_path}/vocab.txt"),
        *(f"--train={tmp_path}/t.jsonl", f"--dev={tmp_path}/t.jsonl", "--epochs=1"),
        *(f"--output_dir={tmp_path}/out", "--batch_size=4", "--seq_length=16"),
    ]
    assert cli.main(["finetune", *arguments]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(metrics["per_type"]) == {"LOC", "PER", "X"}
