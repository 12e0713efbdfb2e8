"""What `predict` sends to the servable of each task, and the rows that its outputs make."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bert_keras.data import choices, questions, sentences_to_embed, tagged_sentences
from bert_keras.data.examples import Examples, read_examples
from bert_keras.data.source import DataSource, TaskExamples
from bert_keras.errors import UserError

Arrays = Mapping[str, np.ndarray]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Served:
    """A task as a client sees it: its examples, the inputs these make, the rows of outputs."""

    read: Callable[[DataSource], Any]
    inputs: Callable[[Any], dict[str, Any]]
    rows: Callable[[Any, Arrays], Iterator[Row]]


def served(outputs: set[str]) -> Served | None:
    """The task whose `serving_default` has these outputs, if it is one of ours."""
    return next((_BY_OUTPUT[name] for name in _BY_OUTPUT if name in outputs), None)


def _texts(values: np.ndarray) -> list[str]:
    return [value.decode("utf-8", "replace") for value in values]


def _read_texts(source: DataSource) -> Examples:
    columns = source.text_column, source.pair_column, None
    return read_examples(source.spec, *columns, source.tfds_dir, labelled=False)


def _text_inputs(part: Examples) -> dict[str, Any]:
    return {"text": part.texts} | ({} if part.pairs is None else {"text_pair": part.pairs})


def _scores(outputs: Arrays) -> Iterator[dict[str, float]]:
    for classes, scores in zip(outputs["classes"], outputs["scores"], strict=True):
        yield dict(zip(_texts(classes), scores.tolist(), strict=True))


def _label_rows(_: TaskExamples, outputs: Arrays) -> Iterator[Row]:
    for scores in _scores(outputs):
        label = max(scores, key=lambda name: scores[name])
        yield {"label": label, "score": scores[label], "scores": scores}


def _selected_rows(_: TaskExamples, outputs: Arrays) -> Iterator[Row]:
    for scores, selected in zip(_scores(outputs), outputs["selected"], strict=True):
        chosen = [name for name, chosen in zip(scores, selected, strict=True) if chosen]
        yield {"labels": sorted(chosen, key=lambda name: -scores[name]), "scores": scores}


def _score_rows(_: TaskExamples, outputs: Arrays) -> Iterator[Row]:
    return ({"score": score} for score in outputs["score"].tolist())


def _read_questions(source: DataSource) -> questions.QuestionExamples:
    return questions.read_questions(source, labelled=False)


def _question_inputs(part: questions.QuestionExamples) -> dict[str, Any]:
    return {"question": part.questions, "context": part.contexts}


def _answer_rows(_: TaskExamples, outputs: Arrays) -> Iterator[Row]:
    """The best answers have no places: a servable does not say them."""
    for row, answer in enumerate(_texts(outputs["answer"])):
        best = zip(_texts(outputs["answers"][row]), outputs["answer_scores"][row], strict=True)
        yield {
            "answer": answer,
            **{name: outputs[name][row].item() for name in ("start", "end", "score", "null_score")},
            "answers": [{"text": text, "score": float(score)} for text, score in best if score > 0],
        }


def _read_choices(source: DataSource) -> choices.ChoiceExamples:
    return choices.read_choices(source, labelled=False)


def _choice_inputs(part: choices.ChoiceExamples) -> dict[str, Any]:
    most = max(map(len, part.choices))
    padded = [[*row, *[""] * (most - len(row))] for row in part.choices]
    return {"context": part.contexts, "choices": np.array(padded, object)}


def _choice_rows(part: choices.ChoiceExamples, outputs: Arrays) -> Iterator[Row]:
    for row, own in enumerate(part.choices):
        chosen = outputs["choice"][row].item()
        scores = outputs["scores"][row].tolist()[: len(own)]
        yield {"choice": chosen, "text": own[chosen], "scores": scores}


def _read_sentences(source: DataSource) -> tagged_sentences.TaggedSentences:
    examples = tagged_sentences.read_tagged(source, labelled=False)
    if examples.texts is None:
        raise UserError(f"{examples.source}: has words, expected texts: the server divides them")
    return examples


def _tag_rows(part: tagged_sentences.TaggedSentences, outputs: Arrays) -> Iterator[Row]:
    from bert_keras.data.text_words import PlacedWords
    from bert_keras.metrics.tag_schemes import scheme_of_labels
    from bert_keras.tasks.entity_answers import tagging_of

    for row, text in enumerate(part.texts or []):
        own = slice(int(outputs["length"][row]))
        words, tags = (_texts(outputs[name][row, own]) for name in ("words", "tags"))
        places = (outputs[name][row, own].tolist() for name in ("starts", "ends"))
        placed = PlacedWords(text, words, *places)
        scores = outputs["scores"][row, own].tolist()
        yield dataclasses.asdict(tagging_of(placed, tags, scores, scheme_of_labels(tags)))


def _read_singles(source: DataSource) -> sentences_to_embed.SentencesToEmbed:
    examples = sentences_to_embed.read_sentences(source, labelled=False)
    if examples.group > 1:
        raise UserError(f"{examples.source}: has {examples.kind()}, expected single texts")
    return examples


def _embedding_rows(_: TaskExamples, outputs: Arrays) -> Iterator[Row]:
    # The shortest decimals that give the float32 again.
    return ({"embedding": [float(str(x)) for x in vector]} for vector in outputs["embedding"])


def _mask_rows(part: Examples, outputs: Arrays) -> Iterator[Row]:
    """The first [MASK] of each text is filled; the others stay."""
    from bert_keras.tasks.filled_text import filled_text

    for row, text in enumerate(part.texts):
        tokens = [_texts(outputs["tokens"][row])] if outputs["scores"][row].any() else []
        yield dataclasses.asdict(filled_text(text, tokens, [outputs["scores"][row]][: len(tokens)]))


def _only_texts(part: Any) -> dict[str, Any]:
    return {"text": part.texts}


# By an output that no other task has but those behind it.
_BY_OUTPUT = {
    "selected": Served(_read_texts, _text_inputs, _selected_rows),
    "label": Served(_read_texts, _text_inputs, _label_rows),
    "embedding": Served(_read_singles, _only_texts, _embedding_rows),
    "tags": Served(_read_sentences, _only_texts, _tag_rows),
    "answer": Served(_read_questions, _question_inputs, _answer_rows),
    "choice": Served(_read_choices, _choice_inputs, _choice_rows),
    "tokens": Served(_read_texts, _only_texts, _mask_rows),
    "score": Served(_read_texts, _text_inputs, _score_rows),
}
