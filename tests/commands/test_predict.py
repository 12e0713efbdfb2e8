"""`bert-keras predict`: tokens for [MASK], and the states of layers, on files."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from bert_keras import cli
from bert_keras.tasks import FeatureExtractor, FillMask
from tests import small, small_pretraining

TEXTS = ["a good film", "the plot was not a film", "bad !"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> pathlib.Path:
    """A directory that pretraining leaves."""
    folder = tmp_path_factory.mktemp("pretrained")
    small_pretraining.pretrainer(initializer_range=0.2).save_pretrained(folder)
    return folder


def predict(model: pathlib.Path, texts: list[str], folder: pathlib.Path, *flags: str) -> int:
    (folder / "in.txt").write_text("\n".join(texts) + "\n")
    output = () if any(flag.startswith("--output") for flag in flags) else (_output(folder),)
    return cli.main(
        ["predict", f"--model={model}", f"--input={folder / 'in.txt'}", *output, *flags]
    )


def _output(folder: pathlib.Path) -> str:
    return f"--output={folder / 'out.jsonl'}"


def rows(folder: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def test_words_for_masks(pretrained, tmp_path):
    texts = ["the [MASK] was good", "[MASK] [MASK] !"]
    assert predict(pretrained, texts, tmp_path, "--top_k=2") == 0
    answers = FillMask.from_pretrained(pretrained).predict(texts, top_k=2)
    for row, text, answer in zip(rows(tmp_path), texts, answers, strict=True):
        assert (row["text"], row["filled"]) == (text, answer.filled)
        assert [[fill["token"] for fill in mask] for mask in row["masks"]] == [
            [fill.token for fill in mask] for mask in answer.masks
        ]
        assert set(row["masks"][0][0]) == {"token", "score", "text"}


def test_a_text_without_a_mask_is_one_line(pretrained, tmp_path, capsys):
    assert predict(pretrained, ["a [MASK]", "a film"], tmp_path) == 2
    expected = f"bert-keras predict: error: {tmp_path / 'in.txt'}:2: has no [MASK], expected at"
    assert capsys.readouterr().err.startswith(expected)


def test_features_of_every_token(pretrained, tmp_path):
    assert predict(pretrained, TEXTS, tmp_path, "--features=-1,0:none", "--batch_size=2") == 0
    found = FeatureExtractor.from_pretrained(pretrained, layers=[-1, 0]).predict(TEXTS)
    written = rows(tmp_path)
    assert [list(row) for row in written] == [["linex_index", "features"]] * 3
    assert [row["linex_index"] for row in written] == [0, 1, 2]
    for row, one in zip(written, found, strict=True):
        assert [token["token"] for token in row["features"]] == one.tokens
        values = [[layer["values"] for layer in token["layers"]] for token in row["features"]]
        np.testing.assert_allclose(values, one.values, atol=1e-5)


@pytest.mark.slow
def test_features_as_arrays(pretrained, tmp_path):
    output = f"--output={tmp_path / 'out.npz'}"
    assert predict(pretrained, TEXTS, tmp_path, "--features=-1,1", output, "--batch_size=2") == 0
    found = FeatureExtractor.from_pretrained(pretrained, layers=[-1, 1]).predict(TEXTS)
    arrays = np.load(tmp_path / "out.npz")
    assert arrays["values"].dtype == np.float32 and arrays["layers"].tolist() == [-1, 1]
    assert arrays["tokens"].tolist() == sum((one.tokens for one in found), [])
    for index, one in enumerate(found):
        inside = slice(*arrays["offsets"][index : index + 2])
        np.testing.assert_allclose(arrays["values"][inside], one.values, atol=1e-5)

    assert predict(pretrained, TEXTS, tmp_path, "--features=-1,1:mean", output) == 0
    pooled = np.load(tmp_path / "out.npz")
    assert set(pooled) == {"layers", "values"}
    expected = [one.values.mean(0) for one in found]
    np.testing.assert_allclose(pooled["values"], expected, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.npz"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--features=one:none"], "--features=one:none: expected LAYERS:POOLING, such as"),
        (["--features=5:none"], "--features=5:none: layers are -3 to 2, received 5"),
        (["--features=1:sum"], "received [1] and 'sum'"),
        (["--features=1", "--top_k=3"], "--features: does not go with --top_k"),
        (["--output=out.npz"], "--output=out.npz: .npz is for --features"),
    ],
)
def test_features_that_cannot_be(flags, message, pretrained, tmp_path, capsys):
    assert predict(pretrained, TEXTS, tmp_path, *flags) == 2
    assert message in capsys.readouterr().err


def test_options_of_another_task_are_one_line(pretrained, tmp_path, capsys):
    small.classifier().save_pretrained(tmp_path / "classifier")
    assert predict(tmp_path / "classifier", TEXTS, tmp_path, "--top_k=2") == 2
    assert "holds a classification model, which takes no --top_k" in capsys.readouterr().err
    data = tmp_path / "data.tsv"
    data.write_text("text\tlabel\na\tb\n")
    assert cli.main(["evaluate", f"--model={pretrained}", f"--data={data}"]) == 2
    assert "a fill_mask model has no metrics" in capsys.readouterr().err
