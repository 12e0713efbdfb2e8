"""report.html of a fine-tuning run: rebuilt from its folder, for every task, safely."""

from __future__ import annotations

import json
import re

import pytest

from bert_keras.training import fine_tuning_report
from bert_keras.training.fine_tuning_report import write_fine_tuning_report
from bert_keras.training.highlights import Span, around, bars, marked
from bert_keras.training.mistakes import worst_mistakes

_HISTORY = [
    {"epoch": 1, "train_loss": 1.0, "dev_loss": 0.8, "dev_accuracy": 0.5},
    {"epoch": 2, "train_loss": 0.5, "dev_loss": 0.6, "dev_accuracy": 0.7},
]


def _labelled(text, label, **scores):
    best = max(scores, key=scores.get)
    return {"text": text, "label": label, "prediction": best, "scores": scores}


def _report(folder, task, rows, **metrics):
    """The page of a run with these rows and metrics."""
    run = {
        "task": task,
        "init": "size:tiny",
        "train": "训练.tsv",
        "vocab": None,
        "config": {"a": 1},
    }
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    values = {"loss": 0.25, **metrics, "history": _HISTORY}
    (folder / "metrics.json").write_text(json.dumps(values), encoding="utf-8")
    if rows is not None:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "predictions.jsonl").write_text(lines, encoding="utf-8")
    write_fine_tuning_report(folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_classification(tmp_path):
    rows = [
        _labelled("fine", "a", a=0.9, b=0.1),
        _labelled("closer", "a", a=0.4, b=0.6),
        _labelled("<script>alert(1)</script> 很好", "b", a=0.99, b=0.01),
    ]
    matrix = {"labels": ["a", "b"], "counts": [[1, 1], [1, 0]]}
    scores = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    page = _report(
        tmp_path, "classification", rows, confusion_matrix=matrix, per_class={"a": scores}
    )
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt; 很好" in page
    # The worst first, and what is right not at all.
    assert page.index("很好") < page.index("closer") and ">fine<" not in page
    assert "2 of 3 answers differ from the gold ones; the worst 2:" in page
    assert page.count("<svg") == 1 and "dev_accuracy" not in page
    assert "rgba(46,139,87,0.375)" in page and "rgba(210,89,26,0.750)" in page
    assert "<th>support</th>" in page
    assert "训练.tsv" in page and "vocab" not in page
    # Neither another file nor another server is needed.
    assert not re.search(r'(?:src|href)="(?!#)|@import|url\((?!#)', page)
    # The same folder gives the same page.
    write_fine_tuning_report(tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_texts_may_hold_what_unicode_calls_a_line_end(tmp_path):
    text = "one\u2028two\u0085three\u2029"
    (tmp_path / "predictions.jsonl").write_text(
        json.dumps({"text": text}, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    assert fine_tuning_report._read_rows(tmp_path / "predictions.jsonl") == [{"text": text}]


def test_without_dev_data_there_are_the_curves_and_the_settings(tmp_path):
    page = _report(tmp_path, "classification", None)
    assert "<svg" in page and "size:tiny" in page and "mistakes" not in page


def test_a_task_of_ones_own_has_a_report_too(tmp_path):
    page = _report(tmp_path, "parsing", [{"text": "a", "prediction": "b"}])
    assert "Fine-tuning: parsing" in page and "0 of 1 answers differ" in page


def test_several_labels():
    scores = {"food": 0.9, "price": 0.2, "service": 0.6}
    row = {"text": "t", "label": ["food", "price"], "prediction": ["food", "service"]}
    found = worst_mistakes("classification", [{**row, "scores": scores}])
    (mistake,) = found.shown
    assert "gold: food, price; predicted: food, service" in mistake
    same = {**row, "prediction": ["price", "food"], "scores": scores}
    assert worst_mistakes("classification", [same]).total == 0


def test_numbers(tmp_path):
    rows = [
        {"text": "closer", "text_pair": "x", "label": 3.0, "prediction": 3.5},
        {"text": "farther", "text_pair": "y", "label": "1.0", "prediction": 4.0},
        {"text": "cosine", "label": 5.0, "expected": 1.0, "prediction": 0.9},
    ]
    page = _report(tmp_path, "regression", rows)
    assert page.count("<svg") == 2
    assert page.index("farther") < page.index("closer") < page.index("cosine")
    assert "gold 1, predicted 4 (+3)" in page and "gold 1, predicted 0.9 (-0.1)" in page


def test_choices():
    row = {"context": "It rained.", "choices": ["He ran.", "Ice"], "label": 0, "prediction": 1}
    (mistake,) = worst_mistakes("multiple_choice", [{**row, "scores": [0.2, 0.8]}]).shown
    assert "It rained." in mistake and "1. He ran. ✓" in mistake and "80.0%" in mistake


def _tagged(words, starts, gold, found, tags=None, prediction=None):
    def entities(spans):
        return [{"start": start, "end": end, "type": kind} for start, end, kind in spans]

    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    blank = ["O"] * len(words)
    return {
        "words": words,
        "starts": starts,
        "ends": ends,
        "tags": tags or blank,
        "prediction": prediction or blank,
        "gold_entities": entities(gold),
        "entities": entities(found),
    }


def test_entities_are_marked_as_missed_made_up_or_right():
    both = (0, 3, "PER")
    row = _tagged(
        ["Ada", "in", "北", "京"], [0, 4, 7, 8], [both, (7, 9, "LOC")], [both, (7, 8, "ORG")]
    )
    (mistake,) = worst_mistakes("tagging", [row, _tagged(["a"], [0], [], [])]).shown
    gold, model = mistake.split("</p>")[:2]
    right = '<mark class="right">Ada<sub>PER</sub></mark> in '
    assert right + '<mark class="gold">北京<sub>LOC</sub></mark>' in gold
    assert right + '<mark class="wrong">北<sub>ORG</sub></mark>京' in model


def test_wrong_tags_of_words_are_marked():
    row = _tagged(["can", "can"], [0, 4], [], [], ["MD", "VB"], ["MD", "NN"])
    (mistake,) = worst_mistakes("tagging", [row]).shown
    assert 'can <mark class="gold">can<sub>VB</sub></mark>' in mistake
    assert 'can <mark class="wrong">can<sub>NN</sub></mark>' in mistake


def _answered(text, answers, prediction, start, f1, score=0.5):
    return {
        "question": f"Who is {text}?",
        "context": "Ada & Bob met Carl.",
        "answers": [{"text": text, "answer_start": at} for text, at in answers],
        "prediction": prediction,
        "start": start,
        "end": start + len(prediction),
        "score": score,
        "exact_match": float(f1 == 1.0),
        "f1": f1,
    }


def test_answers_are_marked_in_their_context(tmp_path):
    rows = [
        _answered("one", [("Ada", 0)], "Ada & Bob", 0, 0.5),
        _answered("two", [], "Carl", 14, 0.0, score=0.9),
        _answered("three", [("Ada & Bob met Carl.", 0)], "", 0, 0.0),
        _answered("four", [("Bob", 6)], "Bob", 6, 1.0),
    ]
    page = _report(tmp_path, "question_answering", rows)
    assert '<mark class="gold wrong">Ada</mark><mark class="wrong"> &amp; Bob</mark> met' in page
    assert page.index("Who is two?") < page.index("Who is three?") < page.index("Who is one?")
    assert "Who is four?" not in page
    assert "<th>no answer</th><td>1</td><td>0</td><td>0</td>" in page
    assert "<th>1</th><td>2</td><td>50</td><td>75</td>" in page
    assert "<th>5 to 8</th><td>1</td>" in page and "9 to 16" not in page


@pytest.mark.parametrize("start", [0, 2500, 4990])
def test_of_a_long_text_there_is_what_stands_around_the_marks(start):
    text = "".join(f"{index:05d}" for index in range(1000))
    shown = around(text, [Span(start, start + 10, "gold")])
    assert f'<mark class="gold">{text[start : start + 10]}</mark>' in shown
    assert len(shown) < 700
    assert shown.startswith("… ") == (start > 300) and shown.endswith(" …") == (start < 4700)


def test_marks_may_overlap_or_lie_outside_of_the_text():
    spans = [Span(0, 3, "gold", "x"), Span(2, 4, "wrong", "y"), Span(3, 99, "gold"), Span(2, 2, "")]
    expected = (
        '<mark class="gold">ab</mark><mark class="gold wrong">c<sub>x</sub></mark>'
        '<mark class="wrong">d<sub>y</sub></mark>e'
    )
    assert marked("abcde", spans) == expected


def test_of_many_labels_the_likeliest_and_those_that_matter_have_a_bar():
    scores = {str(index): 0.2 - index / 100 for index in range(12)}
    shown = bars(scores, ["11"], ["0"])
    assert shown.count("<i style") == 7 and "11 ✓" in shown and ">8<" not in shown
