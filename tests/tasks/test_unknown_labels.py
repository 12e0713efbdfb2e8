"""Labels that only scored data has: counted as wrong, with a warning, as scikit-learn counts."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import sklearn.metrics

from bert_keras import cli
from bert_keras.data.examples import examples_of_texts
from bert_keras.data.labelled_kinds import MultiLabelExamples
from bert_keras.errors import UserError
from bert_keras.tasks import MultiLabelClassifier
from tests import small


@pytest.mark.parametrize("labels", [["negative", "positive"], ["negative", "neutral", "positive"]])
def test_a_label_that_only_the_scored_data_has_counts_as_wrong(labels, caplog):
    """By scikit-learn on the same labels and predictions."""
    model = small.classifier(labels=labels)
    texts = ["good film", "bad film", "a plot", "fine", "awful"]
    gold = ["positive", "negative", "mixed", "positive", "sad"]
    examples = dataclasses.replace(examples_of_texts(texts), labels=gold)
    with caplog.at_level("WARNING", logger="absl"):
        metrics = model.evaluate(examples)
    (message,) = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert message == (
        f"the inputs:3: the label 'mixed' is not one of {', '.join(labels)}: this row and 1 more "
        "count as wrong"
    )
    found = [answer.label for answer in model.predict(texts)]
    assert metrics["accuracy"] == pytest.approx(np.mean(np.array(found) == gold))
    expected = sklearn.metrics.matthews_corrcoef(gold, found)
    assert metrics["matthews_correlation"] == pytest.approx(expected, abs=1e-12)
    known = dataclasses.replace(
        examples_of_texts([texts[i] for i in (0, 1, 3)]), labels=[gold[i] for i in (0, 1, 3)]
    )
    assert metrics["loss"] == pytest.approx(model.evaluate(known)["loss"], rel=1e-6)
    if len(labels) == 2:
        scores = sklearn.metrics.precision_score(gold, found, labels=["positive"], average=None)
        assert metrics["precision"] == pytest.approx(scores[0])
    prepared = model.prepare(examples)
    details = model.details(prepared, model.run(prepared))
    names = [*labels, "mixed", "sad"]
    assert details["confusion_matrix"]["labels"] == names
    matrix = sklearn.metrics.confusion_matrix(gold, found, labels=names)
    assert details["confusion_matrix"]["counts"] == matrix.tolist()
    assert details["per_class"]["sad"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}


def test_labels_that_the_model_has_none_of_are_refused():
    examples = dataclasses.replace(examples_of_texts(["good"]), labels=["pos"])
    message = "the inputs:1: the label 'pos' is not one of negative, positive, and no other row"
    with pytest.raises(UserError, match=message):
        small.classifier().evaluate(examples)
    with pytest.raises(UserError, match="the inputs:2: unknown label 'pos'"):
        classifier = small.classifier()
        classifier.compile()
        classifier.fit(
            dataclasses.replace(examples_of_texts(["a", "b"]), labels=["negative", "pos"])
        )


def test_a_label_of_several_that_only_the_scored_data_has():
    model = MultiLabelClassifier(small.encoder(0.0), small.tokenizer(), ["a", "b"], max_length=16)
    texts, gold = ["good film", "bad film", "a plot"], [["a"], ["new", "b"], []]
    plain = examples_of_texts(texts)
    fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
    examples = MultiLabelExamples(**{**fields, "labels": gold})
    metrics = model.evaluate(examples)
    names = ["a", "b", "new"]
    hot = np.array([[name in own for name in names] for own in gold])
    found = [[name in answer.labels for name in names] for answer in model.predict(texts)]
    for average in ("micro", "macro"):
        score = sklearn.metrics.f1_score(hot, found, average=average, zero_division=0)
        assert metrics[f"{average}_f1"] == pytest.approx(score)
    assert metrics["subset_accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(hot, found))
    prepared = model.prepare(examples)
    scores = model.details(prepared, model.run(prepared))["per_class"]
    assert list(scores) == names and scores["new"]["support"] == 1


def test_finetune_scores_such_a_dev_set_and_skips_bad_rows(tmp_path, capsys, caplog):
    (tmp_path / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    small.write_tsv(tmp_path / "train.tsv", 32, seed=1)
    with open(tmp_path / "train.tsv", "a") as file:
        file.write("good\tfilm\tpositive\nbad\t\n")
    (tmp_path / "dev.tsv").write_text("text\tlabel\ngood film\tpositive\na plot\tmixed\n")
    arguments = ["finetune", "--init=size:L-1_H-64", f"--vocab={tmp_path}/vocab.txt"]
    arguments += [f"--train={tmp_path}/train.tsv", f"--dev={tmp_path}/dev.tsv", "--epochs=1"]
    arguments += [f"--output_dir={tmp_path}/run", "--seq_length=16"]
    assert cli.main(arguments) == 2
    assert "train.tsv:34: received 3 field(s), expected 2" in (error := capsys.readouterr().err)
    assert error.endswith("(--bad_rows=skip leaves such rows out)\n")
    assert cli.main([*arguments, "--bad_rows=skip"]) == 0
    assert f"left out 2 row(s), see {tmp_path}/run/skipped_rows.jsonl" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["train_examples"] == 32 and metrics["skipped_rows"] == 2
    assert metrics["accuracy"] <= 0.5 and metrics["per_class"]["mixed"]["support"] == 1
    lines = (tmp_path / "run" / "skipped_rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "where": f"{tmp_path}/train.tsv:34",
            "reason": "received 3 field(s), expected 2 (text, label)",
            "row": ["good", "film", "positive"],
        },
        {
            "where": f"{tmp_path}/train.tsv:35",
            "reason": "column 'label' is empty, expected a label",
            "row": {"text": "bad", "label": ""},
        },
    ]
    assert "mixed" in (tmp_path / "run" / "report.html").read_text()
    arguments = ["evaluate", f"--model={tmp_path}/run/model", f"--data={tmp_path}/train.tsv"]
    assert cli.main([*arguments, "--bad_rows=skip"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped_rows"] == 2
    assert "train.tsv:35: column 'label' is empty" in caplog.text
