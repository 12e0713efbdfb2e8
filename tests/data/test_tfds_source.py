"""TFDS: data sets made here, written and read back by the real `tensorflow_datasets`."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bert_keras.data import tfds_source
from bert_keras.data.examples import read_examples
from bert_keras.data.questions import read_questions
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import read_tagged
from bert_keras.errors import UserError


# Not registered, so that only the files on disk tell the reader what the data set is.
class LocalReviews(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Two configurations: one like GLUE's sst2, one like its mrpc with other features."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="single", description="One text."),
        tfds.core.BuilderConfig(name="pair", description="Two texts, and a score."),
    ]

    def _info(self) -> Any:
        text = tfds.features.Text()
        features: dict[str, Any] = {"idx": tfds.features.Scalar(np.int32)}
        if self.builder_config.name == "single":
            names = tfds.features.ClassLabel(names=["negative", "positive"])
            features |= {"sentence": text, "label": names}
        else:
            features |= {"sentence1": text, "sentence2": text}
            features |= {
                "score": tfds.features.Scalar(np.float32),
                "label": tfds.features.Scalar(np.int64),
            }
            features |= {"ranks": tfds.features.Sequence(np.int32)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> Any:
        return {"train": self._generate_examples(8), "test": self._generate_examples(2, True)}

    def _generate_examples(
        self, count: int, hidden: bool = False
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(count):
            if self.builder_config.name == "single":
                label = -1 if hidden else index % 2
                yield index, {"idx": index, "sentence": f"Füm {index}", "label": label}
            else:
                yield (
                    index,
                    {
                        "idx": index,
                        "sentence1": f"a{index}",
                        "sentence2": b"\xff" if hidden else f"b{index}",
                        "score": 3.2,
                        "label": index % 3,
                        "ranks": [1, 2],
                    },
                )


class LocalLists(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Questions as in TFDS's squad, words and tags as in its conll2003."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        text, number = tfds.features.Text(), tfds.features.Scalar(np.int32)
        tags = tfds.features.ClassLabel(names=["O", "B-name"])
        answer = {"text": text, "answer_start": number}
        features = {
            "id": text,
            "question": text,
            "context": text,
            "answers": tfds.features.Sequence(answer),
            "tokens": tfds.features.Sequence(text),
            "ner": tfds.features.Sequence(tags),
            "vectors": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> Any:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, answers in (("one", [("Ada", 0), ("Ädä", 10)]), ("two", [])):
            yield (
                name,
                {
                    "id": name,
                    "question": "Who?",
                    "context": "Ada, nay, Ädä slept.",
                    "answers": [{"text": x, "answer_start": start} for x, start in answers],
                    "tokens": ["Ada", "slept"] if answers else [],
                    "ner": ["B-name", "O"] if answers else [],
                    "vectors": [0.0, 1.0],
                },
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("tfds")
    for config in ("single", "pair"):
        LocalReviews(config=config, data_dir=path).download_and_prepare()
    LocalLists(data_dir=path).download_and_prepare()
    return path


def test_class_labels_become_names(folder: pathlib.Path) -> None:
    examples = read_examples("tfds:local_reviews/single:train", tfds_dir=folder)
    by_text = dict(zip(examples.texts, examples.labels or (), strict=True))
    assert by_text == {f"Füm {i}": ["negative", "positive"][i % 2] for i in range(8)}
    assert examples.pairs is None
    assert examples.where(2) == "tfds:local_reviews/single:train:3"
    again = read_examples("tfds:local_reviews/single:train", tfds_dir=folder)
    assert again.texts == examples.texts


def test_slices_and_versions(folder: pathlib.Path) -> None:
    assert len(read_examples("tfds:local_reviews/single:train[:3]", tfds_dir=folder)) == 3
    name = "tfds:local_reviews/single:1.0.0:train[50%:]"
    assert len(read_examples(name, tfds_dir=folder)) == 4


def test_pairs_and_numbers(folder: pathlib.Path) -> None:
    examples = read_examples("tfds:local_reviews/pair:train", tfds_dir=folder)
    assert sorted(
        zip(examples.texts, examples.pairs or (), examples.labels or (), strict=True)
    ) == [(f"a{i}", f"b{i}", str(i % 3)) for i in range(8)]
    scores = read_examples(
        "tfds:local_reviews/pair:train", tfds_dir=folder, label_column="score"
    ).labels
    assert scores == ["3.2"] * 8


def test_hidden_labels(folder: pathlib.Path) -> None:
    name = "tfds:local_reviews/single:test"
    with pytest.raises(UserError, match=f"{name}:1: column 'label' is empty, expected a label"):
        read_examples(name, tfds_dir=folder)
    assert len(read_examples(name, tfds_dir=folder, labelled=False)) == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tfds:local_reviews", "expected tfds:NAME:SPLIT or tfds:NAME/CONFIG:SPLIT"),
        ("tfds:local_reviews/single:dev", "the split 'dev' .* expected one of test, train"),
        ("tfds:local_reviews/single:train[:0]", "the split 'train\\[:0\\]' cannot be read"),
        ("tfds:no_such_thing_here:train", "no such data set in TFDS or under --tfds_dir="),
        ("tfds:local_reviews/triple:train", "no such data set in TFDS or under --tfds_dir="),
        ("tfds:local_reviews/pair:test", ":1: column 'sentence2' is not valid Unicode"),
    ],
)
def test_bad_names(folder: pathlib.Path, spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_examples(spec, tfds_dir=folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(spec)


def test_named_column_that_is_not_there(folder: pathlib.Path) -> None:
    with pytest.raises(UserError, match="text_column=rank is not among the columns .*idx"):
        read_examples("tfds:local_reviews/pair:train", "rank", tfds_dir=folder)
    with pytest.raises(UserError, match=r"train:1: column 'ranks' holds \[1, 2\]"):
        read_examples("tfds:local_reviews/pair:train", "ranks", tfds_dir=folder)


def test_questions_with_their_answers(folder: pathlib.Path) -> None:
    examples = read_questions(DataSource("tfds:local_lists:train", tfds_dir=folder))
    found = dict(zip(examples.ids, examples.answers or (), strict=True))
    assert found == {"one": [("Ada", 0), ("Ädä", 10)], "two": []}
    assert set(examples.contexts) == {"Ada, nay, Ädä slept."}


def test_words_with_their_tags(folder: pathlib.Path) -> None:
    source = DataSource("tfds:local_lists:train", tfds_dir=folder)
    examples = read_tagged(source)
    rows = [examples.row(index) for index in range(len(examples))]
    expected = [{"words": ["Ada", "slept"], "tags": ["B-name", "O"]}, {"words": [], "tags": []}]
    assert sorted(rows, key=lambda row: -len(row["words"])) == expected
    assert sorted(read_tagged(source, labelled=False).words or ()) == [[], ["Ada", "slept"]]
    plain = DataSource("tfds:local_reviews/single:test", tfds_dir=folder)
    assert sorted(read_tagged(plain, labelled=False).texts or ()) == ["Füm 0", "Füm 1"]


def test_training_data_without_a_split_are_those_of_train() -> None:
    for spec in ("tfds:glue/cola", "tfds:squad", "tfds:glue/cola:2.0.0"):
        assert tfds_source.with_split(spec, "train") == f"{spec}:train"
    for spec in ("tfds:glue/cola:test", "tfds:squad:train[:5%]", "tfds:a:1.0.0:dev", "train.tsv"):
        assert tfds_source.with_split(spec, "train") == spec
