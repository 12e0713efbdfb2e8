"""The signature of a MultipleChoice model: contexts and choices in, the right one's number out."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.export.guards import Outputs, Signatures, text_specs
from bert_keras.tasks import MultipleChoice


def multiple_choice(task: MultipleChoice) -> Signatures:
    """`serving_default` on contexts `[batch]` and choices `[batch, choices]`.

    A choice that is an empty text is none: its score is 0.
    """

    def predict(context: tf.Tensor, choices: tf.Tensor) -> Outputs:
        context = tf.ensure_shape(context, [None])
        choices = tf.ensure_shape(choices, [None, None])
        # Joined, so that another number of contexts than of rows of choices is an error.
        joined = tf.concat([context[:, None], choices], axis=1)
        (features,) = task.preprocess((joined[:, 0], joined[:, 1:]))
        scores = tf.nn.softmax(task(features, training=False))
        return {"choice": tf.argmax(scores, axis=-1, output_type=tf.int32), "scores": scores}

    spec = [*text_specs(["context"]), tf.TensorSpec([None, None], tf.string, name="choices")]
    return {"serving_default": tf.function(predict, input_signature=spec)}
