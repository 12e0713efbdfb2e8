"""The signature of a FillMask model: texts with [MASK] in, words out."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.export.guards import Outputs, Signatures, same_batch, text_specs
from bert_keras.tasks import FillMask


def fill_mask(task: FillMask) -> Signatures:
    """`serving_default`: the likeliest tokens at the first [MASK] of each text.

    A text without one has empty tokens with scores of 0, so that it spoils no other's answer.
    """
    vocabulary = tf.constant(task.tokenizer.vocabulary)
    known, wanted = len(task.tokenizer.vocabulary), min(task.top_k, task.tokenizer.vocab_size)

    def predict(text: tf.Tensor) -> Outputs:
        (text,) = same_batch(text)
        features = task.tokenizer.with_masks(text, task.max_length)
        masks = tf.equal(features["token_ids"], task.tokenizer.mask_id)
        counts = tf.reduce_sum(tf.cast(masks, tf.int32), axis=1)
        # The logits are of all masks, row by row; a row more stands for texts without one.
        logits = task(features, training=False)
        logits = tf.concat([logits, tf.zeros([1, task.encoder.config.vocab_size])], axis=0)
        first = tf.where(counts > 0, tf.cumsum(counts, exclusive=True), tf.shape(logits)[0] - 1)
        # A table may be padded with rows that are no token's.
        every = tf.nn.softmax(tf.gather(logits, first))
        scores, ids = tf.math.top_k(every[:, :known], wanted)
        there = (counts > 0)[:, None]
        return {
            "tokens": tf.where(there, tf.gather(vocabulary, ids), ""),
            "scores": tf.where(there, scores, 0.0),
        }

    return {"serving_default": tf.function(predict, input_signature=text_specs(["text"]))}
