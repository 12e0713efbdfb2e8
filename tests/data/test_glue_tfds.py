"""GLUE's tasks in TFDS: data sets of the same schemas, made here."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bert_keras import cli
from bert_keras.data.examples import Examples, read_kind
from bert_keras.data.labelled_kinds import ScoredExamples
from bert_keras.data.source import DataSource
from tests import small

# By configuration: the columns of the texts, and the names of the classes.
SCHEMAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cola": (("sentence",), ("unacceptable", "acceptable")),
    "sst2": (("sentence",), ("negative", "positive")),
    "mrpc": (("sentence1", "sentence2"), ("not_equivalent", "equivalent")),
    "qqp": (("question1", "question2"), ("not_duplicate", "duplicate")),
    "stsb": (("sentence1", "sentence2"), ()),
    "mnli": (("premise", "hypothesis"), ("entailment", "neutral", "contradiction")),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment")),
    "rte": (("sentence1", "sentence2"), ("entailment", "not_entailment")),
    "wnli": (("sentence1", "sentence2"), ("not_entailment", "entailment")),
}


class Glue(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Three examples a split; MNLI has two splits to validate on."""

    VERSION = tfds.core.Version("2.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name, description=name) for name in SCHEMAS]

    def _info(self) -> Any:
        texts, names = SCHEMAS[self.builder_config.name]
        label = tfds.features.ClassLabel(names=names) if names else np.float32
        features = {**{name: tfds.features.Text() for name in texts}, "label": label}
        features["idx"] = np.int32
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> Any:
        matched = self.builder_config.name == "mnli"
        splits = ("validation_matched", "validation_mismatched") if matched else ("validation",)
        return {split: self._generate_examples() for split in ("train", *splits)}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        texts, names = SCHEMAS[self.builder_config.name]
        for index in range(3):
            label = index % len(names) if names else index + 0.2
            columns = {name: f"{name} {index}" for name in texts}
            yield index, {**columns, "label": label, "idx": index}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_task_by_name(tmp_path: pathlib.Path, name: str) -> None:
    Glue(config=name, data_dir=tmp_path).download_and_prepare()
    columns, names = SCHEMAS[name]
    split = "validation_mismatched" if name == "mnli" else "validation"
    kind = Examples if names else ScoredExamples
    source = DataSource(f"tfds:glue/{name}:{split}", tfds_dir=str(tmp_path))
    examples = read_kind(kind, source)
    assert sorted(examples.texts) == [f"{columns[0]} {index}" for index in range(3)]
    if len(columns) == 1:
        assert examples.pairs is None
    else:
        assert sorted(examples.pairs or ()) == [f"{columns[1]} {index}" for index in range(3)]
    by_text = dict(zip(examples.texts, examples.labels or (), strict=True))
    for index in range(3):
        expected = names[index % len(names)] if names else index + 0.2
        assert by_text[f"{columns[0]} {index}"] == expected
    if names:
        # In the data set's order: GLUE's F1 is that of the second, such as "equivalent".
        assert examples.label_set() == list(names)
        assert examples.part(0, 3).label_set() == list(names)


@pytest.mark.slow
def test_the_verb_scores_the_class_that_glue_scores(tmp_path: pathlib.Path) -> None:
    Glue(config="mrpc", data_dir=tmp_path / "tfds").download_and_prepare()
    small.classifier().save_pretrained(tmp_path / "init")
    where = f"--init={tmp_path}/init", f"--tfds_dir={tmp_path}/tfds", f"--output_dir={tmp_path}/run"
    data = "--train=tfds:glue/mrpc", "--dev=tfds:glue/mrpc:validation"
    few = "--epochs=1", "--seq_length=16", "--batch_size=2"
    assert cli.main(["finetune", *where, *data, *few]) == 0
    labels = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["id2label"]
    assert labels == {"0": "not_equivalent", "1": "equivalent"}
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["f1"] == pytest.approx(metrics["per_class"]["equivalent"]["f1"])
    assert metrics["recall"] == pytest.approx(metrics["per_class"]["equivalent"]["recall"])
