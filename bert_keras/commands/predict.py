"""`bert-keras predict`: answers for texts, from a model directory or from a server."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from absl import flags

from bert_keras.commands.loading import check_pairs, load_task, read_flagged
from bert_keras.data.examples import Examples
from bert_keras.errors import UserError

Answer = dict[str, Any]
Answerer = Callable[[list[str], "list[str] | None"], list[Answer]]


def run(values: flags.FlagValues) -> int:
    """Writes one JSON object per input, in order, a batch at a time."""
    if (values.model is None) == (values.server is None):
        raise UserError("give either --model=DIR or --server=host:port")
    examples = read_flagged(values, values.input, labelled=False)
    answer = _from_server(values) if values.server else _from_model(values, examples)
    with _output(values.output) as file:
        for start in range(0, len(examples), values.batch_size):
            part = slice(start, start + values.batch_size)
            for row in _rows(examples, part, answer):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
    return 0


def _rows(examples: Examples, part: slice, answer: Answerer) -> Iterator[Answer]:
    texts = examples.texts[part]
    pairs = None if examples.pairs is None else examples.pairs[part]
    for index, answered in enumerate(answer(texts, pairs)):
        row = {"text": texts[index]}
        if pairs is not None:
            row["text_pair"] = pairs[index]
        yield {**row, **answered}


def _from_model(values: flags.FlagValues, examples: Examples) -> Answerer:
    task = load_task("model", values.model)
    check_pairs(task, examples)

    def answer(texts: list[str], pairs: list[str] | None) -> list[Answer]:
        inputs = texts if pairs is None else (texts, pairs)
        return [
            {"label": found.label, "score": found.score, "scores": found.scores}
            for found in task.predict(inputs, batch_size=values.batch_size)
        ]

    return answer


def _from_server(values: flags.FlagValues) -> Answerer:
    from bert_keras.export.client import Client
    from bert_keras.export.status import StatusError

    client = Client(values.server)

    def answer(texts: list[str], pairs: list[str] | None) -> list[Answer]:
        inputs = {"text": texts} if pairs is None else {"text": texts, "text_pair": pairs}
        try:
            outputs = client.predict(values.model_name, inputs)
        except StatusError as error:
            raise UserError(f"--server={values.server}: {error}") from None
        answers = []
        for classes, scores in zip(outputs["classes"], outputs["scores"], strict=True):
            named = {
                name.decode("utf-8"): float(score)
                for name, score in zip(classes, scores, strict=True)
            }
            label = max(named, key=lambda name: named[name])
            answers.append({"label": label, "score": named[label], "scores": named})
        return answers

    return answer


def _output(path: str) -> contextlib.AbstractContextManager[TextIO]:
    if path == "-":
        return contextlib.nullcontext(sys.stdout)
    return open(path, "w", encoding="utf-8")
