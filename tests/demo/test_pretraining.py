"""Filling masks, and the weights that both fine-tunings begin with."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from bert_keras.config import BertConfig, read_json
from bert_keras.demo import pretraining
from bert_keras.tasks import BertPretrainer
from bert_keras.tokenization.vocabulary_training import write_vocabulary
from tests import small, small_pretraining


def test_a_mask_is_filled_by_the_logits_at_its_place(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining, "GAPS", ("the [MASK] was good.", "[MASK]!"))
    task = small_pretraining.pretrainer(initializer_range=0.3)
    task.save_pretrained(tmp_path / "model")
    filled = pretraining.fill_masks(tmp_path / "model", most=2)["filled"]
    assert [gap for gap, _ in filled] == ["the [MASK] was good.", "[MASK]!"]
    for text, place, (_, best) in zip(("the film was good.", "film!"), (2, 1), filled, strict=True):
        features = {name: np.array(value) for name, value in task.tokenizer([text]).items()}
        assert features["token_ids"][0, place] == small.VOCABULARY.index("film")
        features["token_ids"][0, place] = task.tokenizer.mask_id
        features["mask_positions"] = np.asarray([[place]])
        logits = np.asarray(task.network(features)["mlm_logits"])[0]
        shares = np.exp(logits) / np.exp(logits).sum()
        order = np.argsort(-logits)[:2]
        assert [word for word, _ in best] == [small.VOCABULARY[index] for index in order]
        assert [share for _, share in best] == pytest.approx(shares[order].tolist(), rel=1e-4)


def test_the_start_is_random_and_the_same_for_the_same_seed(tmp_path: pathlib.Path) -> None:
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        write_vocabulary(tmp_path / name / "vocab.txt", small.VOCABULARY)
        pretraining.write_start(tmp_path / name, "L-1_H-64", seed)
        weights.append((tmp_path / name / "start" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]
    task = BertPretrainer.from_pretrained(tmp_path / "a" / "start")
    config = read_json(tmp_path / "a" / "start" / "config.json")
    assert config["hidden_dropout_prob"] == BertConfig().hidden_dropout_prob
    table = np.asarray(task.encoder.embeddings.word_embeddings)
    # One over the root of the width, of a normal distribution cut off at two deviations.
    assert np.std(table) == pytest.approx(0.8796 * 0.125, rel=0.05)
