"""Servables of tokenizers with added tokens, in the C++ session that TF-Serving has."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from bert_keras.export import saved_model
from bert_keras.export.capi import CppSession
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import FillMask, TextClassifier, TokenTagger
from bert_keras.tokenization import BertTokenizer
from tests import small

TOKENS = ["[covid]", {"content": "<e>", "special": True, "normalized": False, "rstrip": True}]
TEXTS = ["The [COVID]film was <e>  good!", "", "é[covid] [SEP]", "awful " * 40 + "<e>"]


@pytest.fixture(scope="module")
def parts() -> tuple[BertEncoder, BertTokenizer]:
    """An encoder with two rows more than the vocabulary, added tokens included."""
    tokenizer = BertTokenizer(small.VOCABULARY, added_tokens=TOKENS)
    config = dataclasses.replace(small.encoder().config, vocab_size=tokenizer.vocab_size + 2)
    return BertEncoder(config), tokenizer


@pytest.mark.slow
def test_a_classifier(parts: tuple[BertEncoder, BertTokenizer], tmp_path: pathlib.Path) -> None:
    model = TextClassifier(*parts, small.LABELS, max_length=16)
    path = saved_model.save(model, tmp_path / "model" / "1", attention=True)
    with CppSession(path) as session:
        scores = session.run("serving_default", {"text": TEXTS})["scores"]
        expected = [
            [answer.scores[name] for name in small.LABELS] for answer in model.predict(TEXTS)
        ]
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        numbers = np.zeros(1, np.int32)
        shown = session.run("attention", {"text": TEXTS[:1], "layer": numbers, "head": numbers})
        found = [token.decode() for token in shown["tokens"][0]]
        assert found == "[CLS] the [covid] film was <e> good ! [SEP]".split()


@pytest.mark.slow
def test_a_tagger(parts: tuple[BertEncoder, BertTokenizer], tmp_path: pathlib.Path) -> None:
    model = TokenTagger(*parts, labels=["O", "B-X"], max_length=16)
    with CppSession(saved_model.save(model, tmp_path / "model" / "1")) as session:
        outputs = session.run("serving_default", {"text": TEXTS})
    words = [word.decode() for word in outputs["words"][0][: outputs["length"][0]]]
    assert words == ["The", "[COVID]", "film", "was", "<e>  ", "good", "!"]
    starts = outputs["starts"][0][: len(words)].tolist()
    assert [
        TEXTS[0][start:][: len(word)] for start, word in zip(starts, words, strict=True)
    ] == words
    for row, answer in enumerate(model.predict(TEXTS)):
        tags = [tag.decode() for tag in outputs["tags"][row][: outputs["length"][row]]]
        assert tags == answer.tags


@pytest.mark.slow
def test_fill_mask(parts: tuple[BertEncoder, BertTokenizer], tmp_path: pathlib.Path) -> None:
    texts = ["the [covid][MASK] was <e> good", "[mask] [MASK]"]
    model = FillMask(*parts, top_k=100, max_length=16)
    with CppSession(saved_model.save(model, tmp_path / "model" / "1")) as session:
        tokens = session.run("serving_default", {"text": texts})["tokens"]
    expected = [[choice.token for choice in answer.masks[0]] for answer in model.predict(texts)]
    # Every token of the vocabulary, and no row of the table that is none.
    assert tokens.shape == (2, parts[1].vocab_size)
    assert [[token.decode() for token in row] for row in tokens] == expected
    assert sorted(expected[0]) == sorted(parts[1].vocabulary)
