"""Directories that we write, loaded by transformers on PyTorch: the same numbers come out.

PyTorch need not live beside TensorFlow: `BERT_KERAS_TRANSFORMERS_PYTHON` names the interpreter
of another environment that has `torch` and `transformers`.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from keras import ops

from bert_keras import checkpoints
from bert_keras.layers.masked_lm_head import MaskedLMHead
from bert_keras.tasks import (
    AnsweringTask,
    FillMask,
    MultiLabelClassifier,
    MultipleChoice,
    QuestionAnswerer,
    SentenceEmbedder,
    TextClassifier,
    TextRegressor,
    TokenTagger,
)
from tests import small, small_pretraining

SENTENCES = pathlib.Path(__file__).parent / "sentence_transformers_outputs.py"
SCRIPT = pathlib.Path(__file__).parent / "transformers_outputs.py"
ENCODER_TOLERANCE = 2e-5
LOGITS_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def interpreter() -> str:
    """A Python that can import transformers and PyTorch."""
    python = os.environ.get("BERT_KERAS_TRANSFORMERS_PYTHON", sys.executable)
    check = subprocess.run([python, "-c", "import torch, transformers"], capture_output=True)
    if check.returncode:
        pytest.skip(
            "torch and transformers cannot be imported; BERT_KERAS_TRANSFORMERS_PYTHON "
            "may name a Python that can"
        )
    return python


def features(vocab_size: int) -> dict[str, np.ndarray]:
    lengths = np.array([[19], [7], [2]])
    mask = (np.arange(19) < lengths).astype(np.int32)
    ids = np.random.default_rng(4).integers(1, vocab_size, mask.shape).astype(np.int32)
    segments = (np.arange(19) >= lengths // 2).astype(np.int32)
    return {"token_ids": ids * mask, "segment_ids": segments * mask, "padding_mask": mask}


class OurModel:
    """An encoder with heads, saved under any architecture, and what it computes."""

    def __init__(self, init: str | pathlib.Path, **arguments: Any) -> None:
        self.encoder = checkpoints.load_encoder(init, **arguments)
        config = self.encoder.config
        random = np.random.default_rng(6)
        self.masked_lm = MaskedLMHead(config, name="masked_lm")
        self.masked_lm.build()
        for weight in self.masked_lm.weights:
            weight.assign(random.normal(0, 0.1, weight.shape) + weight.path.endswith("gamma"))
        width = config.hidden_size
        self.heads: dict[str, dict[str, Any]] = {
            "masked_lm": self.masked_lm.named_weights(),
            "next_sentence": self._dense("dense", width, 2, random),
            "classifier": self._dense("classifier", width, 3, random),
        }

    @staticmethod
    def _dense(name: str, inputs: int, outputs: int, random: Any) -> dict[str, np.ndarray]:
        return {
            f"{name}/kernel": random.normal(0, 0.2, (inputs, outputs)),
            f"{name}/bias": random.normal(0, 0.2, outputs),
        }

    def save(self, folder: pathlib.Path, architecture: str, *heads: str) -> None:
        extra = checkpoints.label_fields(["a", "b", "c"]) if "classifier" in heads else None
        checkpoints.save_pretrained(
            folder / architecture,
            self.encoder.config,
            architecture,
            self.encoder,
            {head: self.heads[head] for head in heads},
            extra,
        )

    def outputs(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By transformers' names."""
        output = {k: ops.convert_to_numpy(v) for k, v in self.encoder(inputs).items()}
        sequence, pooled = output["sequence_output"], output["pooled_output"]
        rows = sequence.reshape(-1, sequence.shape[-1])
        words = self.masked_lm(rows, self.encoder.embeddings.word_embeddings)
        nsp, classifier = self.heads["next_sentence"], self.heads["classifier"]
        return {
            "last_hidden_state": sequence,
            "pooler_output": pooled,
            "prediction_logits": np.reshape(words, (*sequence.shape[:2], -1)),
            "seq_relationship_logits": pooled @ nsp["dense/kernel"] + nsp["dense/bias"],
            "logits": pooled @ classifier["classifier/kernel"] + classifier["classifier/bias"],
        }


def assert_equal_in_transformers(model: OurModel, folder: pathlib.Path, python: str) -> None:
    inputs = features(model.encoder.config.vocab_size)
    real = inputs["padding_mask"] == 1
    np.savez(folder / "features.npz", **inputs)
    model.save(folder, "BertModel")
    model.save(folder, "BertForPreTraining", "masked_lm", "next_sentence")
    model.save(folder, "BertForSequenceClassification", "classifier")
    run = subprocess.run([python, str(SCRIPT), str(folder)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "{0: 'a', 1: 'b', 2: 'c'}" in run.stdout

    ours, compared = model.outputs(inputs), 0
    for path in folder.glob("*/outputs.npz"):
        for name, theirs in np.load(path).items():
            found = ours[name]
            if name in ("last_hidden_state", "prediction_logits"):
                found, theirs = found[real], theirs[real]
            tolerance = LOGITS_TOLERANCE if "logits" in name else ENCODER_TOLERANCE
            print(path.parent.name, name, np.abs(found - theirs).max())
            np.testing.assert_allclose(found, theirs, rtol=0, atol=tolerance, err_msg=name)
            compared += 1
    assert compared == 5


@pytest.mark.parametrize("activation", ["gelu", pytest.param("gelu_tanh", marks=pytest.mark.slow)])
def test_a_small_model(activation, write, state, tmp_path, interpreter):
    folder = tmp_path / "saved"
    folder.mkdir()
    model = OurModel(write(state, hidden_act="gelu"), hidden_act=activation)
    assert_equal_in_transformers(model, folder, interpreter)


@pytest.mark.slow
def test_minilm(minilm, tmp_path, interpreter):
    assert_equal_in_transformers(OurModel(minilm), tmp_path, interpreter)


@pytest.mark.slow
@pytest.mark.parametrize("next_sentence", [True, False])
def test_a_pretrainer(next_sentence, tmp_path, interpreter):
    task = small_pretraining.pretrainer(0.0, next_sentence, initializer_range=0.2)
    inputs = features(task.encoder.config.vocab_size)
    length = inputs["token_ids"].shape[1]
    everywhere = np.tile(np.arange(length, dtype=np.int32), (len(inputs["token_ids"]), 1))
    ours = task({**inputs, "mask_positions": everywhere})
    np.savez(tmp_path / "features.npz", **inputs)
    architecture = "BertForPreTraining" if next_sentence else "BertForMaskedLM"
    task.save_pretrained(tmp_path / architecture)

    subprocess.run([interpreter, str(SCRIPT), str(tmp_path)], check=True)

    theirs = np.load(tmp_path / architecture / "outputs.npz")
    real = inputs["padding_mask"] == 1
    words = np.reshape(ours["mlm_logits"], (*real.shape, -1))[real]
    expected = theirs["prediction_logits" if next_sentence else "logits"][real]
    print(np.abs(words - expected).max())
    np.testing.assert_allclose(words, expected, rtol=0, atol=1e-5)
    if next_sentence:
        expected = theirs["seq_relationship_logits"]
        np.testing.assert_allclose(ours["nsp_logits"], expected, rtol=0, atol=1e-5)


# What each task is made with.
_CLASSES, _TAGS = {"labels": ["a", "b", "c"]}, {"labels": ["O", "B-X", "I-X"]}
TASK_KINDS: dict[str, tuple[type[AnsweringTask], dict[str, Any]]] = {
    "classification": (TextClassifier, _CLASSES),
    "several_labels": (MultiLabelClassifier, _CLASSES),
    "regression": (TextRegressor, {}),
    "tagging": (TokenTagger, _TAGS),
    "tagging_crf": (TokenTagger, {**_TAGS, "crf": True}),
    "question_answering": (QuestionAnswerer, {"max_length": 32}),
    "multiple_choice": (MultipleChoice, {}),
    "fill_mask": (FillMask, {}),
}


def with_random_head(task: AnsweringTask) -> AnsweringTask:
    random = np.random.default_rng(8)
    for weight in task.head_weights().values():
        weight.assign(random.normal(0, 0.1, weight.shape))
    return task


def inputs_of(task: AnsweringTask) -> dict[str, np.ndarray]:
    inputs = features(task.encoder.config.vocab_size)
    if isinstance(task, MultipleChoice):
        return {name: rows[None] for name, rows in inputs.items()}
    if isinstance(task, FillMask):
        inputs["token_ids"][:, 1] = task.tokenizer.mask_id
    return inputs


def assert_tasks_equal_in_transformers(
    tasks: dict[str, AnsweringTask], folder: pathlib.Path, python: str
) -> None:
    for name, task in tasks.items():
        task.save_pretrained(folder / name)
        np.savez(folder / name / "features.npz", **inputs_of(task))
    run = subprocess.run([python, str(SCRIPT), str(folder)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for name, task in tasks.items():
        inputs, theirs = inputs_of(task), dict(np.load(folder / name / "outputs.npz"))
        found = ops.convert_to_numpy(task(inputs))
        real = inputs["padding_mask"] == 1
        if isinstance(task, FillMask):
            wanted = theirs["logits"][inputs["token_ids"] == task.tokenizer.mask_id]
        elif isinstance(task, QuestionAnswerer):
            both = np.stack([theirs["start_logits"], theirs["end_logits"]], axis=-1)
            found, wanted = found[real], both[real]
        elif isinstance(task, TokenTagger):
            found, wanted = found[real], theirs["logits"][real]
        else:
            wanted = theirs["logits"].reshape(found.shape)
        print(name, np.abs(found - wanted).max(), np.abs(wanted).max())
        np.testing.assert_allclose(found, wanted, rtol=0, atol=LOGITS_TOLERANCE, err_msg=name)


def test_every_task(tmp_path, interpreter):
    tasks = {
        name: with_random_head(
            cls(
                small.encoder(add_pooler=cls.needs_pooler),
                small.tokenizer(),
                **{"max_length": 16, **options},
            )
        )
        for name, (cls, options) in TASK_KINDS.items()
    }
    assert_tasks_equal_in_transformers(tasks, tmp_path, interpreter)


@pytest.mark.slow
def test_every_task_with_real_weights(minilm, tiny_mlm, tmp_path, interpreter):
    tasks = {
        name: with_random_head(cls.from_pretrained(minilm, **options))
        for name, (cls, options) in TASK_KINDS.items()
        if cls is not FillMask
    }
    tasks["fill_mask"] = FillMask.from_pretrained(tiny_mlm)
    assert_tasks_equal_in_transformers(tasks, tmp_path, interpreter)


def assert_equal_in_sentence_transformers(
    tasks: dict[str, SentenceEmbedder], texts: list[str], folder: pathlib.Path, python: str
) -> None:
    imported = subprocess.run([python, "-c", "import sentence_transformers"], capture_output=True)
    if imported.returncode:
        pytest.skip("sentence_transformers cannot be imported")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    for name, task in tasks.items():
        task.save_pretrained(folder / name)
    subprocess.run([python, str(SENTENCES), str(folder)], check=True)
    for name, task in tasks.items():
        theirs = np.load(folder / name / "embeddings.npy")
        print(name, np.abs(task.embed(texts) - theirs).max())
        np.testing.assert_allclose(task.embed(texts), theirs, rtol=0, atol=1e-5)


def test_sentence_embedders(tmp_path, interpreter):
    texts = ["a good film", "", "it", "not the plot and actors it is not a great film at all !!"]
    tasks = {
        f"{pooling}-{normalize}": SentenceEmbedder(
            small.encoder(add_pooler=False), small.tokenizer(), pooling, normalize, max_length=12
        )
        for pooling, normalize in (("mean", True), ("cls", False), ("max", True))
    }
    assert_equal_in_sentence_transformers(tasks, texts, tmp_path, interpreter)


@pytest.mark.slow
def test_minilm_in_sentence_transformers(minilm, tmp_path, interpreter):
    task = SentenceEmbedder.from_pretrained(minilm)
    texts = ["A man is playing a guitar.", "Résumé, 苹果 😀", "", "long " * 600]
    assert_equal_in_sentence_transformers({"minilm": task}, texts, tmp_path, interpreter)
