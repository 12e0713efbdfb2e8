"""The verbs on embedders: training on pairs, scores, vectors, and search over a file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bert_keras import cli
from bert_keras.tasks import SentenceEmbedder
from tests import small

RECIPE = (
    "--task=embedding",
    "--init=size:L-1_H-64",
    "--learning_rate=2e-3",
    "--batch_size=16",
    "--seq_length=16",
)


def _write_pairs(path, count, seed, header="text\ttext_pair\tscore"):
    """Two sentences of one label are alike, of two labels not."""
    texts, labels = small.sentences(2 * count, seed)
    rows = [header]
    for a, b, x, y in zip(texts[::2], texts[1::2], labels[::2], labels[1::2], strict=True):
        score = f"\t{5 if x == y else 0}" if "score" in header else ""
        rows.append(f"{a}\t{b}{score}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedding")
    (folder / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n", encoding="utf-8")
    _write_pairs(folder / "train.tsv", 512, seed=1)
    _write_pairs(folder / "dev.tsv", 32, seed=2)
    arguments = [
        *RECIPE,
        "--epochs=6",
        f"--vocab={folder}/vocab.txt",
        f"--train={folder}/train.tsv",
        f"--dev={folder}/dev.tsv",
        f"--output_dir={folder}/out",
    ]
    assert cli.main(["finetune", *arguments]) == 0
    return folder


def _printed(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_finetune_and_evaluate_agree(trained, capsys):
    metrics = json.loads((trained / "out" / "metrics.json").read_text())
    assert metrics["spearman"] > 0.6 and metrics["examples"] == 32
    assert metrics["spearman"] == max(row["dev_spearman"] for row in metrics["history"])
    row = json.loads((trained / "out" / "predictions.jsonl").read_text().splitlines()[0])
    assert set(row) == {"text", "text_pair", "label", "prediction", "expected"}
    assert row["expected"] == row["label"] / 5
    capsys.readouterr()
    arguments = [f"--model={trained}/out/model", f"--data={trained}/dev.tsv"]
    assert cli.main(["evaluate", *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)
    for name in ("spearman", "pearson", "loss"):
        assert printed[name] == pytest.approx(metrics[name], abs=1e-5)
    model = SentenceEmbedder.from_pretrained(trained / "out" / "model")
    assert model.options() == {
        "pooling": "mean",
        "normalize": True,
        "loss": "cosine",
        "max_score": 5.0,
    }


def test_predict_writes_vectors_or_similarities(trained, capsys):
    (trained / "q.txt").write_text("good\nthe film was bad\n", encoding="utf-8")
    model = SentenceEmbedder.from_pretrained(trained / "out" / "model")
    arguments = [f"--model={trained}/out/model", f"--input={trained}/q.txt"]
    capsys.readouterr()
    assert cli.main(["predict", *arguments]) == 0
    rows = _printed(capsys)
    assert [row["text"] for row in rows] == ["good", "the film was bad"]
    found = np.array([row["embedding"] for row in rows], np.float32)
    np.testing.assert_allclose(found, model.embed(["good", "the film was bad"]), atol=1e-6)
    pairs = [f"--model={trained}/out/model", f"--input={trained}/dev.tsv"]
    assert cli.main(["predict", *pairs]) == 0
    assert set(_printed(capsys)[0]) == {"text", "text_pair", "similarity"}


def test_search_names_lines_of_the_file(trained, capsys):
    (trained / "queries.txt").write_text("good\nawful\n", encoding="utf-8")
    (trained / "corpus.tsv").write_text("id\ttext\n7\tawful\n8\tthe\n9\tgood\n", encoding="utf-8")
    common = [f"--input={trained}/queries.txt", f"--corpus={trained}/corpus.tsv"]
    assert cli.main(["predict", f"--model={trained}/out/model", *common, "--top_k=2"]) == 0
    rows = _printed(capsys)
    assert [row["matches"][0]["line"] for row in rows] == [4, 2]
    assert [row["matches"][0]["text"] for row in rows] == ["good", "awful"]
    assert all(row["matches"][0]["score"] == pytest.approx(1, abs=1e-5) for row in rows)
    assert all(len(row["matches"]) == 2 for row in rows)


def test_what_does_not_go_together_is_one_line(trained, capsys):
    model, queries = f"--model={trained}/out/model", f"--input={trained}/dev.tsv"
    corpus = f"--corpus={trained}/dev.tsv"
    _write_pairs(trained / "pairs.tsv", 4, seed=3, header="text\ttext_pair")
    base = [*RECIPE, f"--vocab={trained}/vocab.txt", f"--output_dir={trained}/none"]
    for verb, arguments, message in (
        ("predict", ["--server=localhost:1", queries, corpus], "--corpus: does not go with"),
        ("predict", [model, queries, "--top_k=2"], "takes no --top_k"),
        ("finetune", [*base, f"--train={trained}/pairs.tsv", "--loss=cosine"], "pairs with scores"),
        ("finetune", [*base, f"--train={trained}/dev.tsv", "--loss=triplet"], "learns from trip"),
        ("finetune", [*base, f"--train={trained}/dev.tsv", "--freeze=encoder"], "nothing to train"),
        (
            "finetune",
            [*base, f"--train={trained}/dev.tsv", f"--dev={trained}/pairs.tsv"]
            + ["--best_metric=pearson"],
            "expected one of mrr, recall@1, loss",
        ),
        ("finetune", [*base, f"--train={trained}/dev.tsv", "--max_score=4"], "dev.tsv:"),
    ):
        assert cli.main([verb, *arguments]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith(f"bert-keras {verb}: error: ") and message in error
