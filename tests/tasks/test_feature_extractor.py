"""FeatureExtractor: the states of every layer, for tokens and pooled, equal transformers'."""

from __future__ import annotations

import functools
import pathlib

import keras
import numpy as np
import pytest

from bert_keras.data.encoded import EncodedExamples
from bert_keras.errors import UserError
from bert_keras.tasks import FeatureExtractor, Prepared
from tests import small

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
TEXTS = ["a good film", "", "the plot was not a film and it is not good !", "bad"]


@functools.cache
def extractor(layers: tuple[int, ...] = (-1,), pooling: str = "none") -> FeatureExtractor:
    """Random weights, the same at every call."""
    keras.utils.set_random_seed(2)
    encoder = small.encoder(dropout=0.0, add_pooler=False)
    return FeatureExtractor(encoder, small.tokenizer(), layers, pooling, max_length=16)


def recorded_examples(numbers: list[int]) -> EncodedExamples:
    """Some of the recorded examples, pairs among them."""
    examples = np.load(GOLDEN / "examples.npz")
    splits = examples["row_splits"]
    rows = [slice(splits[number], splits[number + 1]) for number in numbers]
    segments = [examples["segment_ids"][row] for row in rows]
    return EncodedExamples(
        np.concatenate([examples["token_ids"][row] for row in rows]),
        np.cumsum([0, *map(len, segments)]).astype(np.int64),
        np.array([(segment == 0).sum() for segment in segments], np.int32),
    )


def test_every_layer_equals_transformers(minilm):
    numbers = [4, 20, 36, 41]
    task = FeatureExtractor.from_pretrained(minilm, layers=range(7))
    found = task.run(Prepared(None, recorded_examples(numbers), None))
    recorded = np.load(GOLDEN / "minilm.npz")
    for values, number in zip(found, numbers, strict=True):
        expected = np.moveaxis(recorded[f"hidden_states_{number}"], 0, 1)
        np.testing.assert_allclose(values[..., ::24], expected, rtol=0, atol=2e-5)


def test_pooling_equals_transformers(minilm):
    numbers = [4, 20, 36, 41]
    prepared = Prepared(None, recorded_examples(numbers), None)
    recorded = np.load(GOLDEN / "minilm.npz")
    for pooling in ("mean", "max"):
        task = FeatureExtractor.from_pretrained(minilm, pooling=pooling)
        found = np.stack(task.run(prepared))[:, 0]
        expected = recorded[f"sequence_{pooling}"][numbers]
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_layers_are_numbered_from_both_ends():
    forward, backward = (extractor(layers=layers) for layers in ((0, 1, 2), (-3, -2, -1)))
    plain = extractor()
    for one, other, last in zip(
        *(t.predict(TEXTS) for t in (forward, backward, plain)), strict=True
    ):
        assert one.tokens == other.tokens and one.tokens[0] == "[CLS]"
        assert one.values.shape == (len(one.tokens), 3, 32) and one.values.dtype == np.float32
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.values[:, -1:], last.values)
    features = forward.tokenizer(TEXTS[:1])
    states = forward.encoder(features, output_hidden_states=True)["hidden_states"]
    expected = np.stack(states, axis=2)[0]
    np.testing.assert_allclose(forward.predict(TEXTS)[0].values, expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_pooling_never_sees_padding(pooling):
    tokens = extractor(layers=(-1, 1)).predict(TEXTS)
    pooled = extractor(layers=(-1, 1), pooling=pooling).predict(TEXTS, batch_size=4)
    pool = {"cls": lambda v: v[0], "mean": lambda v: v.mean(0), "max": lambda v: v.max(0)}[pooling]
    for one, states in zip(pooled, tokens, strict=True):
        assert one.tokens == states.tokens
        np.testing.assert_allclose(one.values, pool(states.values), atol=1e-5)


def test_pairs_have_their_segments():
    (pair,) = extractor().predict((["a good film"], ["it is bad"]))
    assert pair.tokens == "[CLS] a good film [SEP] it is bad [SEP]".split()
    (alone,) = extractor().predict(["a good film"])
    assert np.abs(pair.values[1] - alone.values[1]).max() > 1e-3
    assert extractor().predict([]) == []


def test_json_is_that_of_extract_features():
    task = extractor(layers=(-1, -2))
    (found,) = task.predict(["a film"])
    row = task.answer_row(found)
    assert list(row) == ["features"]
    assert [one["token"] for one in row["features"]] == ["[CLS]", "a", "film", "[SEP]"]
    assert [layer["index"] for layer in row["features"][1]["layers"]] == [-1, -2]
    expected = [round(float(value), 6) for value in found.values[1, 1]]
    assert row["features"][1]["layers"][1]["values"] == expected


@pytest.mark.slow
def test_directories_and_keras_files_keep_the_options(tmp_path):
    task = extractor(layers=(-1, 0), pooling="mean")
    task.save_pretrained(tmp_path / "model")
    reloaded = FeatureExtractor.from_pretrained(tmp_path / "model")
    task.save(tmp_path / "model.keras")
    for other in (reloaded, keras.models.load_model(tmp_path / "model.keras")):
        assert (other.hidden_layers, other.pooling) == ((-1, 0), "mean")
        for one, two in zip(other.predict(TEXTS), task.predict(TEXTS), strict=True):
            np.testing.assert_array_equal(one.values, two.values)


def test_a_model_with_a_head_has_features_too(tmp_path):
    classifier = small.classifier()
    classifier.save_pretrained(tmp_path)
    task = FeatureExtractor.from_pretrained(tmp_path)
    assert task.pooling == "none" and task.max_length == 16
    output = classifier.encoder(classifier.tokenizer(TEXTS[:1]))["sequence_output"][0]
    np.testing.assert_allclose(task.predict(TEXTS)[0].values[:, 0], output, atol=1e-5)


def test_options_that_cannot_work():
    with pytest.raises(UserError, match="layers are -3 to 2, received 3"):
        extractor(layers=(0, 3))
    with pytest.raises(UserError, match=r"received \[\] and 'none'"):
        extractor(layers=())
    with pytest.raises(UserError, match="none, mean, cls, max as pooling; received .* 'sum'"):
        extractor(pooling="sum")
    with pytest.raises(UserError, match="has nothing to train"):
        extractor().compile()
