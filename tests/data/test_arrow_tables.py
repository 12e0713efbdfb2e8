"""Parquet files and data sets of Hugging Face's `datasets`, by value."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from bert_keras.data.arrow_tables import is_dataset, of_dataset
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.examples import Examples, kind_of_table, read_kind
from bert_keras.data.questions import GoldAnswer, read_questions
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import read_tagged
from bert_keras.errors import UserError

_ROWS = {"text": ["fine", "dull", "so"], "label": [1, 0, -1]}
_FEATURES = datasets.Features(
    {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
)


def _source(path: pathlib.Path, **options: Any) -> DataSource:
    return DataSource(str(path), **options)


def test_plain_columns(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"Text": ["a", "b", None], "label": [1.0, 0.0, 1.0], "x": [None] * 3})
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(UserError, match=r"a.parquet:3: column 'Text' holds null, expected a text"):
        read_kind(Examples, _source(path))
    bad_rows = BadRows(skip=True)
    examples = read_kind(Examples, _source(path, bad_rows=bad_rows))
    assert (examples.texts, examples.labels, examples.lines) == (["a", "b"], ["1", "0"], [1, 2])
    assert bad_rows.skipped[0].row == {"Text": None, "label": 1.0, "x": None}


def test_classes_of_hugging_face_become_names(tmp_path: pathlib.Path) -> None:
    """GLUE on the hub: numbers, their names in the file's metadata, -1 where a test set hides."""
    path = tmp_path / "train.parquet"
    datasets.Dataset.from_dict(_ROWS, _FEATURES).to_parquet(path)
    with pytest.raises(UserError, match="train.parquet:3: column 'label' is empty"):
        read_kind(Examples, _source(path))
    examples = read_kind(Examples, _source(path, bad_rows=BadRows(skip=True)))
    assert examples.labels == ["pos", "neg"]
    assert examples.label_set() == ["neg", "pos"]


def test_squad_of_the_hub(tmp_path: pathlib.Path) -> None:
    rows = {
        "id": ["a", "b"],
        "context": ["Ada wrote it.", "Ada wrote it."],
        "question": ["Who?", "When?"],
        "answers": [
            {"text": ["Ada"], "answer_start": [0]},
            {"text": [], "answer_start": []},
        ],
    }
    path = tmp_path / "squad.parquet"
    datasets.Dataset.from_dict(rows).to_parquet(path)
    found = read_questions(_source(path))
    assert found.answers == [[GoldAnswer("Ada", 0)], []] and found.ids == ["a", "b"]


def test_tagged_words_of_the_hub(tmp_path: pathlib.Path) -> None:
    names = ["O", "B-PER"]
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=names)),
        }
    )
    rows = {"tokens": [["Ada", "slept"]], "ner_tags": [[1, 0]]}
    path = tmp_path / "conll.parquet"
    datasets.Dataset.from_dict(rows, features).to_parquet(path)
    assert read_tagged(_source(path)).tags == [["B-PER", "O"]]


def test_a_data_set_in_memory_as_it_was_selected_and_shuffled() -> None:
    whole = datasets.Dataset.from_dict(_ROWS, _FEATURES)
    assert is_dataset(whole) and not is_dataset({"text": ["a"]})
    chosen = whole.select([1, 0])
    examples = kind_of_table(Examples, of_dataset(chosen), DataSource("unused"))
    assert (examples.texts, examples.labels) == (["dull", "fine"], ["neg", "pos"])
    assert examples.where(1) == "the dataset:2"
    mapped = datasets.Dataset.from_dict({"text": ["a", "b"]}).filter(lambda row: row["text"] == "b")
    assert kind_of_table(Examples, of_dataset(mapped), DataSource("unused"), False).texts == ["b"]
    with pytest.raises(UserError, match=r"received a DatasetDict, expected one of its splits \(t"):
        of_dataset(datasets.DatasetDict({"train": whole}))
    with pytest.raises(UserError, match="received a IterableDataset, expected a datasets.Dataset"):
        of_dataset(whole.to_iterable_dataset())


@pytest.mark.parametrize("content", [b"PAR1", b"", b"text,label\na,b\n", b"PAR1" + b"\0" * 50])
def test_what_is_not_parquet(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.parquet: is not a whole Parquet file") as caught:
        read_kind(Examples, _source(path))
    assert "\n" not in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / "none.parquet", tmp_path):
        with pytest.raises(UserError, match="cannot be read|is no known kind of data"):
            read_kind(Examples, _source(path))


def test_damaged_metadata_is_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.parquet"
    for stored in (b"{", b"[]", json.dumps({"info": {"features": [1]}}).encode()):
        table = pyarrow.table({"text": ["a", "b"], "label": [1, 0]})
        table = table.replace_schema_metadata({b"huggingface": stored})
        pyarrow.parquet.write_table(table, path)
        assert read_kind(Examples, _source(path)).labels == ["1", "0"]
