"""A small model and a few labelled examples of every task that is trained."""

from __future__ import annotations

import functools
import json
import pathlib
import tempfile
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.source import DataSource
from bert_keras.data.training_batches import TrainingBatches
from bert_keras.tasks import TASKS, FineTunedTask, Prepared
from tests import small

_ARTICLE = {
    "title": "film",
    "paragraphs": [
        {
            "context": "the film was a great plot and it is not bad",
            "qas": [
                {
                    "id": "one",
                    "question": "it was ?",
                    "answers": [{"text": "great plot", "answer_start": 15}],
                },
                {
                    "id": "two",
                    "question": "was it good ?",
                    "answers": [{"text": "not bad", "answer_start": 36}],
                },
            ],
        }
    ],
}

# By task: the ending of a file that its reader takes, and the file.
SAMPLES = {
    "classification": (
        ".tsv",
        "text\tlabel\na good film\tpositive\na poor plot !\tnegative\nnot bad\tpositive\n"
        "the film was awful\tnegative\n",
    ),
    "regression": (
        ".tsv",
        "sentence1\tsentence2\tscore\ngood film\tgreat film\t4.5\n"
        "a poor plot !\tactors and film\t1.0\nit was bad\tit is awful\t4.0\n",
    ),
    "tagging": (
        ".conll",
        "the O\nfilm B-WORK\nwas O\ngood O\n\nactors B-PERSON\nand I-PERSON\nplot O\n\n"
        "a O\ngreat B-WORK\nfilm I-WORK\n! O\n",
    ),
    "question_answering": (".json", json.dumps({"version": "1.1", "data": [_ARTICLE]})),
    "multiple_choice": (
        ".jsonl",
        '{"context": "the film", "choices": ["was good", "is bad !", "it not"], "label": 0}\n'
        '{"context": "actors and", "choices": ["a plot", "great"], "label": 1}\n',
    ),
    "embedding": (
        ".tsv",
        "sentence1\tsentence2\tscore\ngood film\tgreat film\t1.0\n"
        "a poor plot !\tactors and film\t0.2\nit was bad\tit is awful\t0.8\n",
    ),
}
KINDS = list(SAMPLES)
# For tests that take seconds for each task: two of them always, the rest among the slow ones.
MARKED_KINDS = [
    kind if kind in ("classification", "tagging") else pytest.param(kind, marks=pytest.mark.slow)
    for kind in KINDS
]


@functools.cache
def examples(kind: str) -> Any:
    """The labelled examples of a task, as its reader gives them."""
    ending, content = SAMPLES[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"sample{ending}"
        path.write_text(content, encoding="utf-8")
        return TASKS[kind].read(DataSource(str(path)))


def task(kind: str, seed: int = 1, dropout: float = 0.0, layers: int = 2) -> FineTunedTask:
    """A model of the task for its examples, with random weights, the same at every call."""
    keras.utils.set_random_seed(seed)
    cls = TASKS[kind]
    encoder = small.encoder(dropout, layers=layers, add_pooler=cls.needs_pooler)
    options = cls.options_from(examples(kind), {})
    return cls(encoder, small.tokenizer(), max_length=24, seed=3, **options)


def prepared(task: FineTunedTask) -> Prepared:
    """The task's examples as its model takes them."""
    return task.prepare(examples(task.task_name))


def train(task: FineTunedTask, steps: int = 2, learning_rate: float = 1e-2, **options: Any) -> None:
    """Full-batch updates at a constant learning rate."""
    from bert_keras.optimization import AdamW

    optimizer = AdamW(learning_rate, **options)
    optimizer.build(task.trainable_variables)
    task.compile(optimizer=optimizer, weighted_metrics=[])
    batch = first_batch(task)
    step = tf.function(lambda *parts: task.update(*parts).outputs)
    for _ in range(steps):
        step(*batch)


def first_batch(task: FineTunedTask) -> Any:
    """All the examples as one batch of features and labels."""
    ready = prepared(task)
    batches = TrainingBatches(task.training_examples(ready), batch_size=64)
    return next(iter(batches.dataset(0)))


def values(task: FineTunedTask) -> dict[str, np.ndarray]:
    """The weights by their paths."""
    return {weight.path: np.array(weight.numpy()) for weight in task.weights}
