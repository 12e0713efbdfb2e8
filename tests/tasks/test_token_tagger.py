"""TokenTagger as a Keras user and the command line meet it."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import seqeval.metrics

from bert_keras import cli
from bert_keras.data.tagged_sentences import sentences_of
from bert_keras.data.training_examples import NO_LABEL
from bert_keras.errors import UserError
from bert_keras.tasks import TokenTagger
from bert_keras.tasks.tag_decoding import TaggedWords
from tests import small

TEXT = "the great film was a film, actors"


def _data(count: int, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences whose works are "great film" and whose persons "actors"."""
    random, parts = np.random.default_rng(seed), []
    entities = [(["great", "film"], ["B-work", "I-work"]), (["actors"], ["B-person"])]
    plain = [([word], ["O"]) for word in ("the", "was", "a", "film")]
    for _ in range(count):
        choices = [entities, plain, plain]
        picked = [choices[random.integers(3)] for _ in range(random.integers(1, 6))]
        parts.append([kind[random.integers(len(kind))] for kind in picked])
    return tuple([sum((part[i] for part in row), []) for row in parts] for i in (0, 1))


def _tagger(**arguments) -> TokenTagger:
    keras.utils.set_random_seed(1)
    encoder = small.encoder(0.0, add_pooler=False)
    return TokenTagger(encoder, small.tokenizer(), max_length=16, **arguments)


@pytest.fixture(
    scope="module",
    params=[pytest.param(False, marks=pytest.mark.slow), True],
    ids=["softmax", "crf"],
)
def trained(request) -> TokenTagger:
    tagger = _tagger(crf=request.param)
    tagger.compile(learning_rate=3e-3)
    history = tagger.fit(*_data(256, 0), batch_size=16, epochs=5, verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    return tagger


def test_it_learns_and_answers_with_entities_in_the_text(trained):
    assert trained.labels == ["O", "B-person", "I-person", "B-work", "I-work"]
    words, tags = _data(64, 1)
    metrics = trained.evaluate(words, tags)
    assert metrics["f1"] > 0.8
    found = [answer.tags for answer in trained.predict(words)]
    for name in ("f1", "precision", "recall", "accuracy"):
        expected = getattr(seqeval.metrics, f"{name}_score")(tags, found)
        assert metrics[name] == pytest.approx(expected), name
    (answer,) = trained.predict([TEXT])
    assert answer.words == ["the", "great", "film", "was", "a", "film", ",", "actors"]
    for word, start, end in zip(answer.words, answer.starts, answer.ends, strict=True):
        assert TEXT[start:end] == word
    entities = {(one.type, one.text) for one in answer.entities}
    assert {("work", "great film"), ("person", "actors")} <= entities
    for entity in answer.entities:
        assert TEXT[entity.start : entity.end] == entity.text
        assert 0 < entity.score <= 1


def test_words_by_themselves_empty_sentences_and_nothing(trained):
    first, empty = trained.predict([["great", "film"], []])
    assert first.tags == ["B-work", "I-work"] and first.ends == [5, 10]
    assert empty.tags == [] and empty.entities == []
    assert trained.predict([]) == []


def test_the_loss_is_the_mean_over_words_however_they_are_batched(trained):
    examples = sentences_of(*_data(20, 2))
    prepared = trained.prepare(examples)
    features, labels = trained.training_examples(prepared).batch(np.arange(20))
    assert (labels != NO_LABEL).sum() == sum(map(len, examples.words))
    term = trained.loss_terms(trained(features), labels, None).terms["loss"]
    loss = trained.metrics_of(prepared, trained.run(prepared))["loss"]
    assert float(term.mean()) == pytest.approx(loss, rel=1e-4)


def test_long_sentences_are_split_and_rejoined(trained):
    words = ["the", "great", "film", "was", "a"] * 20
    (answer,) = trained.predict([words])
    assert answer.words == words and len(answer.tags) == 100
    assert np.mean(np.array(answer.tags).reshape(20, 5)[:, 1] == "B-work") > 0.8


@pytest.mark.slow
def test_saved_in_both_forms_it_answers_alike(trained, tmp_path):
    (expected,) = trained.predict([TEXT])
    trained.save(tmp_path / "tagger.keras")
    trained.save_pretrained(tmp_path / "model")
    other_order = trained.labels[::-1]
    for tagger in (
        keras.saving.load_model(tmp_path / "tagger.keras"),
        TokenTagger.from_pretrained(tmp_path / "model"),
        TokenTagger.from_pretrained(tmp_path / "model", labels=other_order),
    ):
        (answer,) = tagger.predict([TEXT])
        assert answer.tags == expected.tags
        assert answer.scores == pytest.approx(expected.scores, abs=1e-5)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForTokenClassification"]
    assert config["id2label"]["3"] == "B-work"


@pytest.mark.parametrize("crf", [False, True])
def test_a_sequence_is_answered_by_the_crf_alone(crf):
    tagger = _tagger(labels=["O", "B-x", "I-x"], crf=crf)
    kernel, bias = tagger.classifier.kernel, tagger.classifier.bias
    kernel.assign(np.zeros(kernel.shape))
    bias.assign([0.0, 0.0, 1.0])
    (answer,) = tagger.predict([["film", "film"]])
    # The likeliest tag by itself is I-x, with which no entity begins.
    assert answer.tags == (["B-x", "I-x"] if crf else ["I-x", "I-x"])


def test_tags_of_any_scheme_become_the_models():
    examples = sentences_of([["a", "film", "film"]], [["I-x", "I-x", "B-x"]])
    assert TokenTagger.options_from(examples, {})["tag_scheme"] == "IOB1"
    options = TokenTagger.options_from(examples, {"tag_scheme": "IOBES"})
    assert options["labels"] == ["O", "B-x", "I-x", "E-x", "S-x"]
    prepared = _tagger(**options).prepare(examples)
    assert [options["labels"][index] for index in prepared.word_labels] == ["B-x", "E-x", "S-x"]


def test_tags_without_prefixes_are_scored_by_accuracy():
    tagger = _tagger(labels=["NN", "VB"])
    assert (tagger.tag_scheme, tagger.best_metric) == ("none", "accuracy")
    prepared = tagger.prepare(sentences_of([["film", "was"]], [["NN", "VB"]]))
    outputs = tagger.run(prepared)
    assert set(tagger.metrics_of(prepared, outputs)) == {"loss", "accuracy"}
    assert set(tagger.details(prepared, outputs)["per_type"]) >= {"NN", "VB"}
    assert tagger.answers(prepared, outputs)[0].entities == []


def test_no_entity_goes_on_in_the_next_sentence():
    tagger = _tagger(labels=["O", "B-x", "I-x"])
    prepared = tagger.prepare(sentences_of([["great"], ["film"]], [["B-x"], ["B-x"]]))
    found = TaggedWords(np.zeros((2, 3), np.float32), np.array([1, 2]), np.ones(2, np.float32))
    # As in seqeval, I- at the beginning of a sentence begins an entity.
    assert tagger.metrics_of(prepared, found)["f1"] == 1.0
    assert [len(answer.entities) for answer in tagger.answers(prepared, found)] == [1, 1]


def test_unknown_tags_are_named():
    with pytest.raises(UserError, match="the inputs:1: the tag 'B-y' is not one of O, B-x, I-x"):
        _tagger(labels=["O", "B-x", "I-x"]).prepare(sentences_of([["film"]], [["B-y"]]))
    with pytest.raises(UserError, match="has no tags but"):
        TokenTagger.options_from(sentences_of([["film"]], [["O"]]), {})


@pytest.mark.slow
def test_the_verbs(tmp_path, capsys):
    for name, count, seed in (("train.conll", 192, 0), ("dev.conll", 32, 1)):
        rows = zip(*_data(count, seed), strict=True)
        lines = ["\n".join(map("\t".join, zip(*row, strict=True))) for row in rows]
        (tmp_path / name).write_text("\n\n".join(lines) + "\n")
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    arguments = [
        *("--task=tagging", "--init=size:L-1_H-64", "--crf", "--tag_scheme=IOBES"),
        *(f"--vocab={tmp_path}/vocab.txt", f"--train={tmp_path}/train.conll"),
        *(f"--dev={tmp_path}/dev.conll", f"--output_dir={tmp_path}/out"),
        *("--epochs=2", "--learning_rate=3e-3", "--batch_size=16", "--seq_length=16"),
    ]
    assert cli.main(["finetune", *arguments]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["f1"] > 0.8 and set(metrics["per_type"]) == {"person", "work"}
    assert set(metrics["per_type"]["work"]) == {"precision", "recall", "f1", "support"}
    capsys.readouterr()
    model = f"--model={tmp_path}/out/model"
    assert cli.main(["evaluate", model, f"--data={tmp_path}/dev.conll"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["f1"] == metrics["f1"] and printed["per_type"] == metrics["per_type"]
    (tmp_path / "texts.txt").write_text(TEXT + "\n")
    assert cli.main(["predict", model, f"--input={tmp_path}/texts.txt"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["text"] == TEXT and row["entities"][-1]["text"] == "actors"
