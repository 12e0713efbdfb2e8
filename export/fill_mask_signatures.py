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
        there = tf.reduce_any(masks, axis=1, keepdims=True)
        # One state of each text: those of all masks would take a vocabulary of logits each.
        states = task.encoder(features, training=False)["sequence_output"]
        first = tf.gather(states, tf.argmax(masks, axis=1), batch_dims=1)
        logits = task.masked_lm(first, task.encoder.embeddings.word_embeddings, training=False)
        # A table may be padded with rows that are no token's.
        every = tf.nn.softmax(logits)
        scores, ids = tf.math.top_k(every[:, :known], wanted)
        return {
            "tokens": tf.where(there, tf.gather(vocabulary, ids), ""),
            "scores": tf.where(there, scores, 0.0),
        }

    return {"serving_default": tf.function(predict, input_signature=text_specs(["text"]))}
