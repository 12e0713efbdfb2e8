"""The signatures of a SentenceEmbedder: texts in, vectors out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bert_keras.export.guards import Outputs, Signatures, same_batch, text_specs
from bert_keras.tasks import SentenceEmbedder


def embedding(task: SentenceEmbedder) -> Signatures:
    """Returns `serving_default` on strings, which get the default prompt if there is one.

    Of a model with prompts there are `encode_query` and `encode_document` too.
    """
    signatures = {"serving_default": _with_prompt(task, task.prompts.named(None))}
    if task.prompts:
        signatures["encode_query"] = _with_prompt(task, task.prompts.query)
        signatures["encode_document"] = _with_prompt(task, task.prompts.document)
    return signatures


def _with_prompt(task: SentenceEmbedder, prompt: str) -> Callable[..., Outputs]:
    def predict(text: tf.Tensor) -> Outputs:
        (text,) = same_batch(text)
        features = task.tokenizer(prompt + text, max_length=task.max_length)
        return {"embedding": task(features, training=False)}

    function: Any = tf.function(predict, input_signature=text_specs(["text"]))
    return function  # type: ignore[no-any-return]
