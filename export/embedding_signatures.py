"""The signature of a SentenceEmbedder: texts in, vectors out."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.export.guards import Outputs, Signatures, same_batch, text_specs
from bert_keras.tasks import SentenceEmbedder


def embedding(task: SentenceEmbedder) -> Signatures:
    """`serving_default` on strings."""

    def predict(text: tf.Tensor) -> Outputs:
        (text,) = same_batch(text)
        features = task.tokenizer(text, max_length=task.max_length)
        return {"embedding": task(features, training=False)}

    return {"serving_default": tf.function(predict, input_signature=text_specs(["text"]))}
