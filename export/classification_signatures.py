"""Signatures of a TextClassifier: strings in, labels and probabilities out."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.export.guards import Outputs, Signatures, of_examples, same_batch, text_specs
from bert_keras.tasks import TextClassifier


def classification(task: TextClassifier) -> Signatures:
    """`serving_default` on strings and `classify` on serialized tf.Examples."""
    classes = tf.constant([str(label) for label in task.labels])
    names = ["text", "text_pair"] if task.pairs else ["text"]

    def scores_of(texts: tuple[tf.Tensor, ...]) -> tf.Tensor:
        checked = same_batch(*texts)
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
        scores = scores_of(of_examples(inputs, names))
        return {"classes": all_classes(scores), "scores": scores}

    return {
        "serving_default": tf.function(predict, input_signature=text_specs(names)),
        "classify": tf.function(classify, input_signature=text_specs(["inputs"])),
    }
