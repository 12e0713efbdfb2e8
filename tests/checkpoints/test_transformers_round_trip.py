"""Directories that we write, loaded by transformers on PyTorch: the same numbers come out.

PyTorch need not live beside TensorFlow: `BERT_KERAS_TRANSFORMERS_PYTHON` names the interpreter
of another environment that has `torch` and `transformers`.
"""

from __future__ import annotations

import dataclasses
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
from bert_keras.tasks import MultipleChoice, SentenceEmbedder
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


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_a_small_model(activation, write, state, tmp_path, interpreter):
    folder = tmp_path / "saved"
    folder.mkdir()
    model = OurModel(write(state, hidden_act="gelu"), hidden_act=activation)
    assert_equal_in_transformers(model, folder, interpreter)


@pytest.mark.slow
def test_minilm(minilm, tmp_path, interpreter):
    assert_equal_in_transformers(OurModel(minilm), tmp_path, interpreter)


@pytest.mark.slow
def test_a_masked_lm_without_pooler(tiny_mlm, tmp_path, interpreter):
    checkpoint = checkpoints.open_checkpoint(tiny_mlm)
    encoder, head = checkpoint.encoder(), MaskedLMHead(checkpoint.config, name="masked_lm")
    head.build()
    checkpoint.fill_head("masked_lm", head.named_weights())
    inputs = features(checkpoint.config.vocab_size)
    np.savez(tmp_path / "features.npz", **inputs)
    checkpoints.save_pretrained(
        tmp_path / "BertForMaskedLM",
        checkpoint.config,
        "BertForMaskedLM",
        encoder,
        {"masked_lm": head.named_weights()},
    )

    subprocess.run([interpreter, str(SCRIPT), str(tmp_path)], check=True)

    real = inputs["padding_mask"] == 1
    rows = ops.convert_to_numpy(encoder(inputs)["sequence_output"])[real]
    theirs = np.load(tmp_path / "BertForMaskedLM" / "outputs.npz")["logits"][real]
    found = ops.convert_to_numpy(head(rows, encoder.embeddings.word_embeddings))
    print(np.abs(found - theirs).max())
    np.testing.assert_allclose(found, theirs, rtol=0, atol=LOGITS_TOLERANCE)


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


def test_multiple_choice(tmp_path, interpreter):
    task = MultipleChoice(small.encoder(), small.tokenizer(), max_length=16)
    contexts, choices = ["the film was", "it is"], [["bad", "a good plot !", "fine"]] * 2
    prepared = task.prepare(task.examples_of((contexts, choices)))
    examples = dataclasses.replace(prepared, labels=np.zeros(2, np.int32))
    inputs, _ = task.training_examples(examples).batch(np.arange(2))
    np.savez(tmp_path / "features.npz", **inputs)
    task.save_pretrained(tmp_path / "BertForMultipleChoice")

    subprocess.run([interpreter, str(SCRIPT), str(tmp_path)], check=True)

    theirs = np.load(tmp_path / "BertForMultipleChoice" / "outputs.npz")["logits"]
    print(np.abs(task.run(prepared) - theirs).max())
    np.testing.assert_allclose(task.run(prepared), theirs, rtol=0, atol=LOGITS_TOLERANCE)


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
