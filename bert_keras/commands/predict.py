"""`bert-keras predict`: answers for texts, from a model directory or from a server."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any, TextIO

from absl import flags

from bert_keras.commands.loading import data_source, load_task, read_flagged, serving_needed
from bert_keras.data.source import TaskExamples
from bert_keras.errors import UserError

Answer = dict[str, Any]
Answerer = Callable[[Any], list[Answer]]


def run(values: flags.FlagValues) -> int:
    """Writes one JSON object per input, in order, a batch at a time."""
    if (values.model is None) == (values.server is None):
        raise UserError("give either --model=DIR or --server=host:port")
    if values.features is not None:
        return _write_features(values)
    if values.output.endswith(".npz"):
        raise UserError(f"--output={values.output}: .npz is for --features")
    if values.corpus is not None:
        return _write_matches(values)
    examples, answer = _from_server(values) if values.server else _from_model(values)
    with _output(values.output) as file:
        for start in range(0, len(examples), values.batch_size):
            part = examples.part(start, start + values.batch_size)
            for index, answered in enumerate(answer(part)):
                row = {**part.row(index), **answered}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
    return 0


def _write_features(values: flags.FlagValues) -> int:
    for name in ("server", "corpus", "top_k"):
        if values[name].value is not None:
            raise UserError(f"--features: does not go with --{name}")
    from bert_keras.commands import features

    if values.output.endswith(".npz"):
        features.write_npz(values)
    else:
        with _output(values.output) as file:
            features.write_lines(values, file)
    return 0


def _write_matches(values: flags.FlagValues) -> int:
    if values.server is not None:
        raise UserError("--corpus: does not go with --server")
    from bert_keras.commands.search import search

    rows = search(values)
    with _output(values.output) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return 0


def _from_model(values: flags.FlagValues) -> tuple[TaskExamples, Answerer]:
    task = load_task("model", values.model, top_k=values.top_k)
    examples = read_flagged(task, values, values.input, labelled=False)
    task.check(examples)

    def answer(part: TaskExamples) -> list[Answer]:
        prepared = task.prepare(part)
        answers = task.answers(prepared, task.run(prepared, values.batch_size))
        return [task.answer_row(found) for found in answers]

    return examples, answer


def _from_server(values: flags.FlagValues) -> tuple[TaskExamples, Answerer]:
    try:
        from bert_keras.export.client import Client
    except ModuleNotFoundError as error:
        raise serving_needed(error) from None
    from bert_keras.commands.served import served
    from bert_keras.export.status import StatusError

    client, name = Client(values.server), values.model_name
    try:
        signature = client.signatures(name).get("serving_default")
    except StatusError as error:
        raise UserError(f"--server={values.server}: {error}") from None
    outputs = set(signature.outputs) if signature else set()
    task = served(outputs)
    if task is None:
        raise UserError(
            f"--server={values.server}: model {name!r} has the outputs {sorted(outputs)}, "
            "expected those of a task of ours"
        )
    examples = task.read(data_source(values, values.input))

    def answer(part: Any) -> list[Answer]:
        try:
            outputs = client.predict(name, task.inputs(part))
        except StatusError as error:
            raise UserError(f"--server={values.server}: {error}") from None
        return [dataclasses.asdict(found) for found in task.answers(part, outputs)]

    return examples, answer


def _output(path: str) -> contextlib.AbstractContextManager[TextIO]:
    if path == "-":
        return contextlib.nullcontext(sys.stdout)
    return open(path, "w", encoding="utf-8")
