"""SentenceEmbedder: pooling, the three losses, its directory, metrics and semantic search."""

from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.sentences_to_embed import sentences_of
from bert_keras.errors import UserError
from bert_keras.layers.token_pooling import pool_tokens
from bert_keras.tasks import SentenceEmbedder, semantic_search
from bert_keras.tasks.embedding_losses import losses_of
from bert_keras.tasks.grouped_inputs import GroupedInputs
from tests import small

TEXTS = ["the film was good", "a bad plot", "it", "actors actors was not a great film !"]
OTHERS = ["a good film", "the plot was awful", "it is", "a poor film"]
NEGATIVES = ["bad", "good", "fine film", "great"]
SCORES = [5.0, 4.0, 2.5, 0.0]
TOKENIZER = small.tokenizer()


def _task(**arguments) -> SentenceEmbedder:
    keras.utils.set_random_seed(1)
    arguments = {"max_length": 16, "seed": 3, **arguments}
    encoder = small.encoder(0.0, add_pooler=False)
    return SentenceEmbedder(encoder, TOKENIZER, **arguments)


def _vectors(task: SentenceEmbedder, texts=TEXTS) -> np.ndarray:
    """What `embed` gives, without its compiled function."""
    return np.asarray(task(task.tokenizer(texts, max_length=task.max_length), training=False))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("pooling", "normalize"), [("mean", True), ("mean", False), ("cls", False), ("max", True)]
)
def test_vectors_are_pooled_from_tokens_and_never_from_padding(pooling, normalize):
    task = _task(pooling=pooling, normalize=normalize)
    features = TOKENIZER(TEXTS, max_length=16)
    states = np.asarray(task.encoder(features)["sequence_output"])
    vectors = np.asarray(task(features, training=False))
    assert vectors.shape == (4, 32) and vectors.dtype == np.float32
    for own, mask, vector in zip(states, features["padding_mask"], vectors, strict=True):
        real = own[np.asarray(mask) == 1]
        expected = {"mean": real.mean(0), "cls": real[0], "max": real.max(0)}[pooling]
        expected = _unit(expected) if normalize else expected
        np.testing.assert_allclose(vector, expected, atol=2e-6)
    # What padding holds does not matter, nor how much of it there is.
    wild = np.where(np.asarray(features["padding_mask"])[..., None] == 1, states, 1e6)
    pooled = np.asarray(pool_tokens(wild, features["padding_mask"], pooling))
    np.testing.assert_allclose(_unit(pooled), _unit(vectors), atol=2e-6)


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return _unit(one) @ _unit(other).T


def test_the_losses_are_those_of_the_formulas():
    vectors = np.random.default_rng(0).normal(size=(5, 3, 8))
    anchor, positive, negative = vectors.transpose(1, 0, 2)
    scores = np.linspace(0, 1, 5)
    own = np.diag(_cosines(anchor, positive))
    found = losses_of("cosine", tf.constant(vectors[:, :2]), tf.constant(scores))
    np.testing.assert_allclose(found, (own - scores) ** 2, rtol=1e-9)
    found = losses_of("triplet", tf.constant(vectors), None)
    further = 1 - own - (1 - np.diag(_cosines(anchor, negative))) + 0.5
    np.testing.assert_allclose(found, np.maximum(further, 0), rtol=1e-9)
    for candidates in (positive, np.concatenate([positive, negative])):
        group = 1 + len(candidates) // 5
        found = losses_of("multiple_negatives", tf.constant(vectors[:, :group]), None)
        logits = 20 * _cosines(anchor, candidates)
        expected = np.log(np.exp(logits).sum(axis=1)) - 20 * own
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_losses_are_those_of_sentence_transformers():
    """Means that sentence-transformers 6.2 gave for these vectors: CosineSimilarityLoss,
    MultipleNegativesRankingLoss (twice) and TripletLoss with cosine distance and margin 0.5."""
    vectors = np.random.default_rng(0).normal(size=(6, 3, 16)).astype(np.float32)
    scores = np.linspace(0, 1, 6).astype(np.float32)
    for loss, group, expected in (
        ("cosine", 2, 0.4244493246078491),
        ("multiple_negatives", 2, 5.421960353851318),
        ("multiple_negatives", 3, 7.6049041748046875),
        ("triplet", 3, 0.5440908074378967),
    ):
        found = losses_of(loss, tf.constant(vectors[:, :group]), scores)
        assert float(tf.reduce_mean(found)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("columns", "scores"), [((TEXTS, OTHERS), SCORES), ((TEXTS, OTHERS, NEGATIVES), None)]
)
def test_lists_datasets_and_examples_are_the_same_batches(columns, scores):
    task = _task(loss="multiple_negatives", max_score=5.0)
    names = ("anchor", "positive", "negative")[: len(columns)]
    # The order of a dict's keys is not that of the columns.
    named = dict(reversed(list(zip(names, columns, strict=True))))
    slices = (columns, named) if scores is None else ((columns, scores), (named, scores))
    inputs = [(columns, scores), (named, scores)]
    inputs += [(tf.data.Dataset.from_tensor_slices(x).batch(4), None) for x in slices]
    prepared = task.prepare(sentences_of(columns, scores))
    labels = prepared.labels if scores else np.zeros(4, np.float32)
    ready = dataclasses.replace(prepared, labels=labels)
    features, labels = GroupedInputs.training_examples(task, ready).batch(np.arange(4))
    for x, y in inputs:
        (batch,) = task._feature_dataset(x, y, None, 4, shuffle=False)
        assert len(batch) == (1 if scores is None else 2)
        for name, value in features.items():
            np.testing.assert_array_equal(batch[0][name], value)
        if scores is not None:
            np.testing.assert_allclose(batch[1], labels)
    with pytest.raises(ValueError, match=r"^x has the keys \['a'\]; expected \(text\) or"):
        task._feature_dataset({"a": TEXTS}, None, None, 4, shuffle=False)


@pytest.mark.slow
def test_fit_learns_without_labels():
    task = _task(loss="multiple_negatives")
    assert task.embed(TEXTS, batch_size=2) == pytest.approx(_vectors(task), abs=1e-6)
    task.compile(learning_rate=3e-3)
    history = task.fit((TEXTS, OTHERS), epochs=15, batch_size=4, verbose=0).history["loss"]
    assert history[-1] < 0.2 * history[0]
    found = task.evaluate(sentences_of((TEXTS, OTHERS)))
    assert found["recall@1"] == 1


def test_scores_and_examples_of_another_kind_are_refused():
    pairs, scored = sentences_of((TEXTS, OTHERS)), sentences_of((TEXTS, OTHERS), SCORES)
    for loss, examples, needed in (
        ("cosine", pairs, "pairs with scores"),
        ("multiple_negatives", scored, "pairs without scores, or triplets"),
        ("triplet", pairs, "triplets"),
    ):
        with pytest.raises(UserError, match=f"the loss {loss} learns from {needed}"):
            SentenceEmbedder.options_from(examples, {"loss": loss})
        task = _task(loss=loss)
        with pytest.raises(UserError, match=f"learns from {needed}"):
            task.training_examples(task.prepare(examples))
    assert SentenceEmbedder.options_from(pairs, {}) == {"loss": "multiple_negatives"}
    assert SentenceEmbedder.options_from(scored, {}) == {"loss": "cosine", "max_score": 5.0}
    with pytest.raises(UserError, match="pooling is 'median', expected one of mean, cls, max"):
        _task(pooling="median")


def test_metrics_go_by_the_examples():
    task = _task()
    scored = task.prepare(sentences_of((TEXTS, OTHERS), SCORES))
    metrics = task.metrics_of(scored, task.run(scored))
    assert set(metrics) == {"loss", *task.metrics_for(scored.examples)}
    cosines = np.diag(_cosines(_vectors(task), _vectors(task, OTHERS)))
    assert metrics["loss"] == pytest.approx(np.mean((cosines - np.array(SCORES) / 5) ** 2))
    assert metrics["pearson"] == pytest.approx(np.corrcoef(cosines, SCORES)[0, 1], abs=1e-5)
    answers = task.predict((TEXTS, OTHERS))
    assert [answer.similarity for answer in answers] == pytest.approx(cosines.tolist(), abs=1e-5)

    triplets = task.prepare(sentences_of((TEXTS, TEXTS, NEGATIVES)))
    metrics = task.metrics_of(triplets, task.run(triplets))
    assert set(metrics) == {"loss", *task.metrics_for(triplets.examples)}
    assert metrics["recall@1"] == metrics["mrr"] == 1


def test_a_directory_of_sentence_transformers(tmp_path):
    task = _task(pooling="max", normalize=True, loss="triplet", max_length=12)
    task.save_pretrained(tmp_path)
    modules = json.loads((tmp_path / "modules.json").read_text())
    assert [module["type"].split(".")[-1] for module in modules] == [
        "Transformer",
        "Pooling",
        "Normalize",
    ]
    pooling = json.loads((tmp_path / "1_Pooling" / "config.json").read_text())
    assert pooling["word_embedding_dimension"] == 32
    assert [name for name, on in pooling.items() if on is True] == ["pooling_mode_max_tokens"]
    assert (tmp_path / "2_Normalize").is_dir()
    loaded = SentenceEmbedder.from_pretrained(tmp_path)
    assert loaded.options() == task.options() and loaded.max_length == 12
    np.testing.assert_array_equal(_vectors(loaded), _vectors(task))
    again = SentenceEmbedder.from_pretrained(tmp_path, pooling="cls", max_length=8)
    assert again.pooling == "cls" and again.max_length == 8

    # As newer releases write it, and without normalisation.
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    (tmp_path / "modules.json").write_text(json.dumps(modules[:2]))
    loaded = SentenceEmbedder.from_pretrained(tmp_path)
    assert (loaded.pooling, loaded.normalize) == ("cls", False)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", "[{}]", "expected a list of modules"),
        ("modules.json", "nothing", "expected a list of modules"),
        (
            "modules.json",
            '[{"type": "x.Transformer", "path": ""}, {"type": "x.Dense", "path": "1"}]',
            "the modules are Transformer, Dense, expected Transformer, Pooling",
        ),
        (
            "modules.json",
            '[{"type": "x.Transformer", "path": "0"}, {"type": "x.Pooling", "path": "1"}]',
            "the Transformer is in '0'",
        ),
        ("1_Pooling/config.json", '{"pooling_mode": "lasttoken"}', "the pooling is lasttoken"),
        (
            "1_Pooling/config.json",
            '{"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}',
            "the pooling is pooling_mode_cls_token, pooling_mode_max_tokens, expected one of",
        ),
        ("sentence_bert_config.json", '{"max_seq_length": "x"}', "max_seq_length is 'x'"),
    ],
)
def test_what_a_directory_cannot_ask_for(tmp_path, file, content, message):
    _task().save_pretrained(tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=message):
        SentenceEmbedder.from_pretrained(tmp_path)


def test_keras_file_with_lora(tmp_path):
    task = _task(pooling="cls", loss="multiple_negatives")
    task.encoder.enable_lora(2)
    for weight in task.encoder.trainable_variables:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    task.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "task.keras")
    assert loaded.options() == task.options()
    np.testing.assert_allclose(_vectors(loaded), _vectors(task), atol=1e-6)
    task.save_pretrained(tmp_path / "model")
    merged = SentenceEmbedder.from_pretrained(tmp_path / "model")
    np.testing.assert_allclose(_vectors(merged), _vectors(task), atol=1e-5)


def test_search_finds_the_texts_of_a_full_comparison(monkeypatch):
    monkeypatch.setattr("bert_keras.tasks.text_search._BLOCK", 5)
    task = _task(normalize=False)
    corpus = [*small.sentences(12)[0], *TEXTS]
    found = semantic_search(task, TEXTS[:2], corpus, top_k=3)
    cosines = _cosines(task.embed(TEXTS[:2]), task.embed(corpus))
    for matches, row, text in zip(found, cosines, TEXTS, strict=False):
        assert matches[0].text == text and matches[0].score == pytest.approx(1, abs=1e-5)
        assert [match.text for match in matches] == [corpus[match.index] for match in matches]
        best = np.sort(row)[::-1][:3]
        assert [match.score for match in matches] == pytest.approx(best.tolist(), abs=1e-5)
        assert [row[match.index] for match in matches] == pytest.approx(best.tolist(), abs=1e-5)


def test_the_distance_from_a_teacher():
    targets, outputs = np.random.default_rng(0).normal(size=(2, 4, 2, 8)).astype(np.float32)
    weights = np.array([1, 2, 0, 1], np.float32)
    found = _task().distance_from(tf.constant(targets), tf.constant(outputs), {}, None, weights, 2)
    squares = ((targets - outputs) ** 2).sum(axis=-1).mean(axis=-1)
    assert float(found) == pytest.approx((squares * weights).sum(), rel=1e-5)
    wide = SentenceEmbedder.from_pretrained("size:L-1_H-64", tokenizer=small.tokenizer())
    with pytest.raises(UserError, match="its vectors are 64 wide, the student's 32"):
        _task().distil_from(wide)


@pytest.mark.slow
def test_minilm_on_sts(minilm, data):
    """The numbers that sentence-transformers gives for the same weights and pairs."""
    lines = (data / "stsb" / "sts-dev.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    columns = [row[5] for row in rows], [row[6] for row in rows]
    task = SentenceEmbedder.from_pretrained(minilm)
    assert (task.pooling, task.normalize, task.max_length) == ("mean", True, 256)
    scores = task.evaluate(sentences_of(columns, [float(row[4]) for row in rows]))
    assert scores["spearman"] == pytest.approx(0.8671631, abs=1e-5)
    assert scores["pearson"] == pytest.approx(0.8696195, abs=1e-5)
