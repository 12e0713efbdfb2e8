"""The data sets of the fine-tuning comparison are cut as they say, and its table counts right."""

from __future__ import annotations

import csv
import importlib
import json
import pathlib
import runpy
import sys
from types import ModuleType
from typing import Any

import pytest

_BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports one of the scripts, which import each other by their bare names."""
    monkeypatch.syspath_prepend(str(_BENCHMARKS))

    def import_script(name: str) -> ModuleType:
        return importlib.import_module(name)

    return import_script


@pytest.mark.parametrize("name", ["batches", "encoded"])
def test_the_other_side_loads_what_it_shares_without_the_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ("bert_keras", "tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, missing, None)
    shared = runpy.run_path(str(_BENCHMARKS.parent / "bert_keras" / "data" / f"{name}.py"))
    assert {"batches": "epoch_order", "encoded": "EncodedExamples"}[name] in shared


def test_every_fifth_item_is_for_testing(load: Any) -> None:
    fifths = load("recipe_data").fifths
    assert fifths("abcdefghijkl") == (list("abcdfghikl"), list("ej"))


def test_stsb_gets_a_header_and_its_two_sentences(load: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "stsb").mkdir()
    for split in ("train", "dev"):
        row = f"main\tMSR\t2012\t0001\t3.800\tA {split}.\tThe {split}.\tone\tmore\n"
        (tmp_path / "stsb" / f"sts-{split}.csv").write_text(row)
    splits = load("recipe_data").sts_benchmark(tmp_path, tmp_path / "files")
    assert splits["dev"].read_text() == "sentence1\tsentence2\tscore\nA dev.\tThe dev.\t3.800\n"
    assert set(splits) == {"train", "dev"}


def test_reviews_are_split_with_their_commas_and_lines(load: Any, tmp_path: pathlib.Path) -> None:
    reviews = [["1", f"good, {number}\nroom"] for number in range(10)]
    folder = tmp_path / "chinese_sentiment"
    folder.mkdir()
    with (folder / "ChnSentiCorp_htl_all.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["label", "review"], *reviews, ["1", ""]])
    splits = load("recipe_data").hotel_reviews(tmp_path, tmp_path / "files")
    parts = {}
    for split, file in splits.items():
        with file.open(newline="") as stream:
            header, *parts[split] = csv.reader(stream)
        assert header == ["label", "review"]
    assert parts["test"] == [reviews[4], reviews[9]]
    assert sorted(parts["train"] + parts["test"]) == reviews


def _squad(contexts: list[list[str]]) -> str:
    articles = [{"paragraphs": [{"context": one, "qas": []} for one in own]} for own in contexts]
    return json.dumps({"data": articles})


def _contexts(file: pathlib.Path) -> list[str]:
    articles = json.loads(file.read_text())["data"]
    return [one["context"] for article in articles for one in article["paragraphs"]]


def test_no_paragraph_is_both_learnt_and_tested(load: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "squad").mkdir()
    every = [[f"{article}-{number}" for number in range(2)] for article in range(6)]
    (tmp_path / "squad" / "dev-v1.1.json").write_text(_squad(every))
    (tmp_path / "squad" / "xquad.en.json").write_text(_squad([["0-1"], ["4-0", "5-1"]]))
    recipe_data = load("recipe_data")
    splits = recipe_data.squad_articles(tmp_path, tmp_path / "files")
    assert _contexts(splits["test"]) == every[4]
    assert _contexts(splits["xquad"]) == ["0-1", "4-0", "5-1"]
    others = sum(every[:4] + every[5:], [])
    assert _contexts(splits["train"]) == [one for one in others if one not in ("0-1", "5-1")]


def test_recipes_are_of_known_tasks_and_name_their_metrics(load: Any) -> None:
    from bert_keras.tasks import TASKS

    for name, recipe in load("recipes").RECIPES.items():
        assert recipe.task in TASKS, name
        assert (recipe.vocabulary is not None) == recipe.init.startswith("size:")
        assert len(recipe.seeds) >= 3


def test_table_has_the_mean_and_spread_of_the_seeds_of_both_sides(load: Any) -> None:
    def row(side: str, seed: int, accuracy: float, f1: float) -> dict[str, Any]:
        metrics = {"test_accuracy": accuracy, "test_f1": f1, "test_loss": 1.0}
        return {"task": "hotel_reviews", "side": side, "seed": seed, "metrics": metrics}

    rows = [row("pytorch", 1, 0.8, 0.7), row("pytorch", 2, 0.9, 0.7), row("ours", 3, 0.1, 0.1)]
    rows += [row("ours", 2, 0.91, 0.75), row("ours", 1, 0.89, 0.75), row("pytorch", 4, 0.1, 0.1)]
    assert load("compare_finetuning").table(rows)[2:] == [
        "| hotel_reviews | test_accuracy | 1, 2 | 85.00 ± 7.07 | 90.00 ± 1.41 | +5.00 |",
        "| hotel_reviews | test_f1 | 1, 2 | 70.00 ± 0.00 | 75.00 ± 0.00 | +5.00 |",
    ]
