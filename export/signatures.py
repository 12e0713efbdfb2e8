"""The signatures of a servable: plain TensorFlow functions over a task model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bert_keras.tasks import BertTask, TextClassifier

Outputs = dict[str, tf.Tensor]


def _texts(names: list[str]) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None], tf.string, name=name) for name in names]


def guard_rank(*texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """The same strings, with an error in the graph unless each is `[batch]`, all of one size.

    TensorFlow Serving checks no shapes, and its optimizer removes assertions: only operations
    whose results are used can refuse a request.
    """
    checked = [tf.ensure_shape(text, [None]) for text in texts]
    return tuple(tf.unstack(tf.stack(checked), num=len(checked)))


def _classification(task: TextClassifier) -> dict[str, Callable[..., Outputs]]:
    """`serving_default` on strings and `classify` on serialized tf.Examples."""
    classes = tf.constant([str(label) for label in task.labels])
    names = ["text", "text_pair"] if task.pairs else ["text"]

    def scores_of(texts: tuple[tf.Tensor, ...]) -> tf.Tensor:
        checked = guard_rank(*texts)
        pair = checked[1] if task.pairs else None
        features = task.tokenizer(checked[0], pair, max_length=task.max_length)
        return tf.nn.softmax(task(features, training=False))

    def all_classes(scores: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(classes, tf.shape(scores))

    def predict(*texts: tf.Tensor) -> Outputs:
        scores = scores_of(texts)
        label = tf.gather(classes, tf.argmax(scores, axis=-1))
        return {"label": label, "scores": scores, "classes": all_classes(scores)}

    def classify(inputs: tf.Tensor) -> Outputs:
        columns = {name: tf.io.FixedLenFeature([], tf.string) for name in names}
        parsed = tf.io.parse_example(tf.ensure_shape(inputs, [None]), columns)
        scores = scores_of(tuple(parsed[name] for name in names))
        return {"classes": all_classes(scores), "scores": scores}

    return {
        "serving_default": tf.function(predict, input_signature=_texts(names)),
        "classify": tf.function(classify, input_signature=_texts(["inputs"])),
    }


_BY_TASK: dict[type[BertTask], Callable[[Any], dict[str, Callable[..., Outputs]]]] = {
    TextClassifier: _classification,
}


def signatures_of(task: BertTask) -> dict[str, Callable[..., Outputs]]:
    """The signatures of a task model, by name.

    Raises:
        TypeError: the task has none.
    """
    for kind, make in _BY_TASK.items():
        if isinstance(task, kind):
            return make(task)
    raise TypeError(f"{type(task).__name__} cannot be exported")
