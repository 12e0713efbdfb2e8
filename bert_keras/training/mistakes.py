"""The worst mistakes among scored rows, each as a piece of HTML with its text highlighted."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bert_keras.training.highlights import Span, around, bars, marked, shortened

Row = Mapping[str, Any]
# First and last character, the end exclusive, and a type or a tag.
Place = tuple[int, int, str]

# Fields of a row that are inputs, in the order in which they are shown.
_INPUTS = ("text", "text_pair", "anchor", "positive", "negative")


class Mistake(NamedTuple):
    """How bad it is, compared with others of the same task, and how it looks."""

    cost: float
    html: str


class Mistakes(NamedTuple):
    """All mistakes in number, and the worst of them as HTML, the worst first."""

    total: int
    shown: list[str]


def worst_mistakes(task: str, rows: Sequence[Row], most: int = 30) -> Mistakes:
    """The worst mistakes among the answers of a task; none of a task that is not known here.

    Args:
        task: as `--task` names it.
        rows: the lines of `predictions.jsonl`.
        most: how many to show at most.
    """
    describe = _OF_TASK.get(task, lambda row: None)
    found = [mistake for row in rows if (mistake := describe(row)) is not None]
    worst = sorted(found, key=lambda mistake: -mistake.cost)[:most]
    return Mistakes(len(found), [f'<div class="mistake">{one.html}</div>' for one in worst])


def _inputs(row: Row) -> str:
    """The texts of a row, with their names where there are several."""
    there = [name for name in _INPUTS if isinstance(row.get(name), str)]
    if len(there) == 1:
        return f"<p>{_shown(row[there[0]])}</p>"
    return "".join(
        f'<p><span class="field">{html.escape(name)}</span>{_shown(row[name])}</p>'
        for name in there
    )


def _shown(text: str) -> str:
    return html.escape(shortened(text)) or "<i>empty</i>"


def _verdict(text: str) -> str:
    return f'<p class="verdict">{html.escape(text)}</p>'


def _several(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _of_classifier(row: Row) -> Mistake | None:
    """The less likely the gold label was, the worse; of several labels, the worst counts."""
    gold, chosen = _several(row.get("labels", row.get("label"))), _several(row["prediction"])
    if set(gold) == set(chosen):
        return None
    scores = {str(label): float(score) for label, score in row["scores"].items()}
    missed, added = set(gold) - set(chosen), set(chosen) - set(gold)
    costs = [1 - scores.get(label, 0.0) for label in missed]
    costs += (
        [scores.get(label, 0.0) for label in added] if isinstance(row["prediction"], list) else []
    )
    verdict = f"gold: {', '.join(gold) or 'none'}; predicted: {', '.join(chosen) or 'none'}"
    return Mistake(max(costs), _inputs(row) + _verdict(verdict) + bars(scores, gold, chosen))


def _of_choice(row: Row) -> Mistake | None:
    """As for a classifier; the choices are the labels."""
    gold, chosen = int(row["label"]), int(row["prediction"])
    if gold == chosen:
        return None
    named = {
        f"{index}. {choice}": score
        for index, (choice, score) in enumerate(zip(row["choices"], row["scores"], strict=True), 1)
    }
    names = list(named)
    answer = bars(named, [names[gold]], [names[chosen]])
    return Mistake(1 - row["scores"][gold], f"<p>{_shown(row['context'])}</p>" + answer)


def _of_number(row: Row) -> Mistake | None:
    """The farther off, the worse."""
    if "label" not in row or not isinstance(row["prediction"], (int, float)):
        return None
    # A cosine is compared with the score from 0 to 1.
    gold, found = float(row.get("expected", row["label"])), float(row["prediction"])
    verdict = f"gold {gold:.4g}, predicted {found:.4g} ({found - gold:+.3g})"
    return Mistake(abs(found - gold), _inputs(row) + _verdict(verdict))


def _of_tagger(row: Row) -> Mistake | None:
    """The more entities are missed or made up, the worse; of words without entities, the more
    tags are wrong."""
    text = ""
    for word, start in zip(row["words"], row["starts"], strict=True):
        text = text.ljust(start) + word
    gold, found = _tag_spans(row)
    wrong = set(gold) ^ set(found)
    if not wrong:
        return None
    lines = []
    for name, own, other, kind in (("gold", gold, found, "gold"), ("model", found, gold, "wrong")):
        spans = [
            Span(start, end, "right" if (start, end, label) in other else kind, label)
            for start, end, label in own
        ]
        lines.append(f'<p><span class="field">{name}</span>{marked(text, spans)}</p>')
    return Mistake(len(wrong), "".join(lines))


def _tag_spans(row: Row) -> tuple[list[Place], list[Place]]:
    """The gold and the found entities of a row, or, without any, the words whose tags differ."""
    if row["gold_entities"] or row["entities"]:
        gold, found = (
            [(one["start"], one["end"], one["type"]) for one in row[name]]
            for name in ("gold_entities", "entities")
        )
        return gold, found
    places = list(zip(row["starts"], row["ends"], row["tags"], row["prediction"], strict=True))
    wrong = [place for place in places if place[2] != place[3]]
    return [(a, b, gold) for a, b, gold, _ in wrong], [(a, b, tag) for a, b, _, tag in wrong]


def _of_answer(row: Row) -> Mistake | None:
    """The less of the answer is right, and the surer the model was of it, the worse."""
    if row["exact_match"] == 1.0:
        return None
    golds = row["answers"]
    spans = [
        Span(gold["answer_start"], gold["answer_start"] + len(gold["text"]), "gold")
        for gold in {gold["answer_start"]: gold for gold in golds}.values()
    ]
    if row["prediction"]:
        spans.append(Span(row["start"], row["end"], "wrong"))
    gold_texts = " · ".join(dict.fromkeys(gold["text"] for gold in golds)) or "no answer"
    verdict = f"gold: {gold_texts}; predicted: {row['prediction'] or 'no answer'} "
    verdict += f"(F1 {row['f1']:.0%}, probability {row['score']:.0%})"
    question = f"<p><b>{html.escape(row['question'])}</b></p>"
    context = f"<p>{around(row['context'], spans)}</p>"
    return Mistake(2 - 2 * row["f1"] + row["score"], question + context + _verdict(verdict))


_OF_TASK: Mapping[str, Callable[[Row], Mistake | None]] = {
    "classification": _of_classifier,
    "multiple_choice": _of_choice,
    "regression": _of_number,
    "embedding": _of_number,
    "tagging": _of_tagger,
    "question_answering": _of_answer,
}
