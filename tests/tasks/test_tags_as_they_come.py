"""Tags of other notations, of numbers, and tags that only scored data has."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
import seqeval.metrics

from bert_keras import cli
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import TaggedSentences, sentences_of
from bert_keras.errors import UserError
from bert_keras.tasks import TokenTagger
from bert_keras.tasks.tag_decoding import TaggedWords
from tests import small

NAMES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def _tagger(**arguments) -> TokenTagger:
    encoder = small.encoder(0.0, add_pooler=False)
    return TokenTagger(encoder, small.tokenizer(), max_length=16, **arguments)


@pytest.fixture
def read(assets: pathlib.Path):
    return lambda name: TokenTagger.read(DataSource(str(assets / "cases" / "files" / name)))


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("ok.conll", NAMES),
        ("underscore.conll", NAMES),
        ("suffix.conll", NAMES),
        ("lower.conll", ["O", "B-loc", "I-loc", "B-per", "I-per"]),
        ("iob_broken.conll", NAMES),
        *((f"{name}.conll", [
            "O", *(f"{x}-LOC" for x in "BIES"), *(f"{x}-PER" for x in "BIES"),
        ]) for name in ("bilou", "bmes")),
    ],
)  # fmt: skip
def test_the_models_tags_and_the_scores(read, name, labels, caplog):
    """Perfect answers score 1, whatever the notation."""
    train = read(name)
    with caplog.at_level("WARNING", logger="absl"):
        options = TokenTagger.options_from(train, {})
    assert options["labels"] == labels
    messages = [record.getMessage() for record in caplog.records]
    if name == "iob_broken.conll":
        (message,) = messages
        assert "iob_broken.conll:80: received 'I-LOC', expected 'B-LOC' by the scheme" in message
    else:
        assert not messages
    tagger = _tagger(**options)
    prepared = tagger.prepare(train)
    gold = prepared.word_labels
    outputs = TaggedWords(
        np.eye(len(labels), dtype=np.float32)[gold] * 50, gold, np.ones(len(gold))
    )
    metrics = tagger.metrics_of(prepared, outputs)
    assert (metrics["f1"], metrics["accuracy"]) == (1.0, 1.0)
    per_type = tagger.details(prepared, outputs)["per_type"]
    supports = {kind.upper(): scores["support"] for kind, scores in per_type.items()}
    assert supports == {"PER": 12, "LOC": 13 if name == "iob_broken.conll" else 12}
    row = tagger.scored_row(prepared.examples.row(0), tagger.answers(prepared, outputs)[0])
    assert row["tags"] == row["prediction"]
    assert [entity["text"] for entity in row["gold_entities"]] == ["Ada Lovelace", "London"]
    assert [entity["text"] for entity in row["entities"]] == ["Ada Lovelace", "London"]


@pytest.mark.parametrize("crf", [False, True])
def test_tags_that_only_the_scored_data_has_count_as_wrong(read, crf, caplog):
    tagger = _tagger(labels=NAMES, crf=crf)
    examples = read("unseen_type_dev.conll")
    with caplog.at_level("WARNING", logger="absl"):
        prepared = tagger.prepare(examples)
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "unseen_type_dev.conll:14: the tag 'B-DATE' is not one of O, B-LOC, I-LOC, B-PER, I-PER: "
        "this word and 0 more count as wrong"
    )
    found = np.array([3, 4, 0, 0, 1, 1, 0, 0, 3, 0, 1, 0])
    logits = np.random.default_rng(0).normal(size=(len(found), 5)).astype(np.float32)
    outputs = TaggedWords(logits, found, np.ones(len(found), np.float32))
    metrics = tagger.metrics_of(prepared, outputs)
    predicted = prepared.by_sentence(np.array(NAMES, object)[found])
    for name in ("f1", "precision", "recall", "accuracy"):
        expected = getattr(seqeval.metrics, f"{name}_score")(examples.tags, predicted)
        assert metrics[name] == pytest.approx(expected), name
    assert metrics["recall"] == 4 / 5 and metrics["accuracy"] == 11 / 12
    per_type = tagger.details(prepared, outputs)["per_type"]
    assert per_type["DATE"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    # The loss is that of the other words.
    words = [*examples.words[:3], ["came"]]
    known = tagger.prepare(sentences_of(words, [*examples.tags[:3], ["O"]]))
    kept = np.arange(len(found)) != 10
    expected = tagger.metrics_of(known, TaggedWords(logits[kept], found[kept], np.ones(11)))
    assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    row = tagger.scored_row(prepared.examples.row(3), tagger.answers(prepared, outputs)[3])
    assert row["tags"] == ["B-DATE", "O"]
    assert [entity["type"] for entity in row["gold_entities"]] == ["DATE"]


@pytest.mark.slow
def test_training_data_has_no_unknown_tags():
    data = [["film", "was"]], [["B-x", "B-y"]]
    message = "the inputs:1: the tag 'B-y' is not one of O, B-x, I-x"
    with pytest.raises(UserError, match=message):
        TokenTagger.options_from(sentences_of(*data), {"labels": ["O", "B-x", "I-x"]})
    tagger = _tagger(labels=["O", "B-x", "I-x"])
    tagger.compile()
    message = r"^y\[0\]\[1\]: the tag 'B-y' is not one of O, B-x, I-x$"
    with pytest.raises(UserError, match=message):
        tagger.fit(*data, verbose=0)
    # Validation data may have them: they count as wrong, and not in the loss.
    history = tagger.fit([["film", "was"]], [["B-x", "O"]], validation_data=data, verbose=0).history
    assert np.isfinite(history["val_loss"][0]) and history["val_accuracy"][0] <= 0.5
    with pytest.raises(UserError, match="and no other word has one of these"):
        tagger.evaluate([["film"]], [["B-y"]])


def test_tags_without_prefixes_that_only_the_scored_data_has():
    tagger = _tagger(labels=["NN", "VB"])
    prepared = tagger.prepare(sentences_of([["film", "was", "a"]], [["NN", "VB", "DT"]]))
    outputs = TaggedWords(np.zeros((3, 2), np.float32), np.array([0, 0, 1]), np.ones(3))
    metrics = tagger.metrics_of(prepared, outputs)
    assert metrics["accuracy"] == pytest.approx(1 / 3)
    assert metrics["loss"] == pytest.approx(np.log(2))
    assert tagger.details(prepared, outputs)["per_type"]["DT"]["support"] == 1


def test_numbers_are_named_by_labels(read, caplog):
    train, labels = read("ints.jsonl"), ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    options = TokenTagger.options_from(train, {"labels": labels})
    assert (options["labels"], options["tag_scheme"]) == (labels, "IOB2")
    with caplog.at_level("WARNING", logger="absl"):
        prepared = _tagger(**options).prepare(train)
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "ints.jsonl: the tags are numbers and taken for indices of the model's labels: O, B-PER, "
        "I-PER, B-LOC, I-LOC"
    )
    assert prepared.examples.tags == read("ok.conll").tags
    assert prepared.word_labels[:5].tolist() == [1, 2, 0, 0, 3]
    with pytest.raises(UserError, match="ints.jsonl:1: received the tag 3, expected a name or a"):
        TokenTagger.options_from(train, {"labels": labels[:3]})


def test_numbers_without_names_are_plain_tags_with_a_warning(read, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        options = TokenTagger.options_from(read("ints.jsonl"), {})
    assert (options["labels"], options["tag_scheme"]) == (["0", "1", "2", "3"], "none")
    assert "the tags are numbers, so no entities are found or scored" in caplog.text


@pytest.mark.parametrize(
    "labels",
    [
        ["O", "B_PER", "I_PER", "B_LOC", "I_LOC"],
        ["o", "b-PER", "i-PER", "b-LOC", "i-LOC"],
        ["O", "PER-B", "PER-I", "LOC-B", "LOC-I"],
        ["O", *(f"{letter}-{kind}" for kind in ("PER", "LOC") for letter in "BILU")],
        ["O", *(f"{letter}-{kind}" for kind in ("PER", "LOC") for letter in "BMES")],
    ],
)
def test_models_whose_labels_are_written_in_another_way(read, labels):
    """Their labels stay; data in the standard notation is scored, and entities are found."""
    tagger = _tagger(labels=labels, crf=True)
    prepared = tagger.prepare(read("ok.conll"))
    gold = prepared.word_labels
    outputs = TaggedWords(np.zeros((len(gold), len(labels)), np.float32), gold, np.ones(len(gold)))
    assert tagger.metrics_of(prepared, outputs)["f1"] == 1.0
    answer = tagger.answers(prepared, outputs)[0]
    assert set(answer.tags) <= set(labels)
    assert [(one.type, one.text) for one in answer.entities] == [
        ("PER", "Ada Lovelace"),
        ("LOC", "London"),
    ]


def test_labels_in_another_notation_than_the_data(read):
    labels = ["O", *(f"{letter}-{kind}" for kind in ("PER", "LOC") for letter in "BILU")]
    options = TokenTagger.options_from(read("ok.conll"), {"labels": labels})
    assert (options["labels"], options["tag_scheme"]) == (labels, "IOBES")
    ids = _tagger(**options).prepare(read("ok.conll")).word_labels
    assert [labels[index] for index in ids[:5]] == ["B-PER", "L-PER", "O", "O", "U-LOC"]


def test_all_tags_as_they_are(read):
    options = TokenTagger.options_from(read("underscore.conll"), {"tag_scheme": "none"})
    assert options["labels"] == ["B_LOC", "B_PER", "I_PER", "O"]


def test_bare_letters_are_scored_as_by_seqeval():
    """As in the files of BioBERT, where the file is the type."""
    tags = [["O", "B", "I", "O"], ["B", "I", "I", "O"]]
    examples: TaggedSentences = sentences_of([["a", "film", "film", "a"]] * 2, tags)
    options = TokenTagger.options_from(examples, {})
    assert (options["labels"], options["tag_scheme"]) == (["O", "B", "I"], "IOB2")
    tagger = _tagger(**options)
    prepared = tagger.prepare(examples)
    found = np.array([0, 1, 2, 0, 1, 2, 1, 0])
    outputs = TaggedWords(np.zeros((8, 3), np.float32), found, np.ones(8))
    predicted = prepared.by_sentence(np.array(["O", "B", "I"], object)[found])
    expected = seqeval.metrics.f1_score(tags, predicted)
    assert tagger.metrics_of(prepared, outputs)["f1"] == pytest.approx(expected) == 0.4
    assert set(tagger.details(prepared, outputs)["per_type"]) == {"_"}


@pytest.mark.slow
def test_the_verbs(assets, tmp_path, capsys):
    """From an annotation tool's file to scores of data with another type."""
    files = assets / "cases" / "files"
    assert cli.main(
        ["convert", f"--from={files}/doccano.jsonl", "--to=tagged_sentences",
         f"--output={tmp_path}/train.jsonl"]
    ) == 0  # fmt: skip
    assert "18 sentences from doccano, types: LOC, PER, 0 words divided" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert rows[1] == {"words": ["Paris", "is", "big"], "tags": ["B-LOC", "O", "O"]}
    (tmp_path / "vocab.txt").write_text(
        "\n".join([*small.VOCABULARY, "ada", "lovelace", "paris", "london", "bob"]) + "\n"
    )
    (tmp_path / "labels.txt").write_text("O\nB-PER\nI-PER\nB-LOC\nI-LOC\n")
    output = tmp_path / "out"
    assert cli.main(
        ["finetune", "--task=tagging", "--init=size:L-1_H-64", f"--vocab={tmp_path}/vocab.txt",
         f"--train={tmp_path}/train.jsonl", f"--dev={files}/unseen_type_dev.conll",
         f"--labels=@{tmp_path}/labels.txt", f"--output_dir={output}", "--epochs=10",
         "--learning_rate=3e-3", "--batch_size=6", "--seq_length=16"]
    ) == 0  # fmt: skip
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["recall"] == 4 / 5 and metrics["accuracy"] == pytest.approx(11 / 12)
    config = json.loads((output / "model" / "config.json").read_text())
    assert list(config["id2label"].values()) == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    last = json.loads((output / "predictions.jsonl").read_text().splitlines()[-1])
    assert last["tags"] == ["B-DATE", "O"] and last["gold_entities"][0]["type"] == "DATE"
    capsys.readouterr()
    data = f"--data={files}/unseen_type_dev.conll"
    assert cli.main(["evaluate", f"--model={output}/model", data]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["f1"] == metrics["f1"] and printed["per_type"]["DATE"]["support"] == 1
    assert cli.main(["evaluate", f"--model={output}/model", f"--data={files}/ints.jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == 1.0
    bad = f"--data={files}/missing_tag.conll"
    assert cli.main(["evaluate", f"--model={output}/model", bad, "--bad_rows=skip"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["f1"], printed["examples"], printed["skipped_rows"]) == (1.0, 18, 1)
