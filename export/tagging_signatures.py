"""The signature of a TokenTagger: texts in, words with tags and places out."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.export.guards import Outputs, Signatures, same_batch, text_specs
from bert_keras.export.sliding import as_matrix, token_outputs
from bert_keras.export.word_windows import rows_of_words, words_of
from bert_keras.tasks import TokenTagger


def tagging(task: TokenTagger) -> Signatures:
    """`serving_default` on texts of any length.

    Rows have as many columns as the longest has words; what is behind the last of `length` words
    is empty.
    """
    names = tf.constant([str(label) for label in task.labels])

    def predict(text: tf.Tensor) -> Outputs:
        (text,) = same_batch(text)
        words = words_of(task.tokenizer, text)
        windows = rows_of_words(task.tokenizer, words, task.max_length)
        outputs = token_outputs(task, windows.features, len(task.labels))
        logits = tf.gather_nd(outputs, tf.stack([windows.rows, windows.columns], axis=1))
        tags, scores, real = _best(task, logits, words.splits)
        columns = {"words": words.texts, "starts": words.starts, "ends": words.ends}
        padded = {
            name: as_matrix(values, words.splits, "" if values.dtype == tf.string else 0)[0]
            for name, values in columns.items()
        }
        return {
            **padded,
            "tags": tf.where(real, tf.gather(names, tags), ""),
            "scores": tf.where(real, scores, 0.0),
            "length": words.splits[1:] - words.splits[:-1],
        }

    return {"serving_default": tf.function(predict, input_signature=text_specs(["text"]))}


def _best(
    task: TokenTagger, logits: tf.Tensor, splits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The tag of each word and its probability, `[texts, words]`, and which of them are words."""
    if task.crf is None:
        tags = tf.argmax(logits, axis=-1, output_type=tf.int32)
        scores = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
        tags, real = as_matrix(tags, splits, 0)
        return tags, as_matrix(scores, splits, 0.0)[0], real
    # A CRF needs one position at least; what is more than the longest text is cut again.
    matrix, real = as_matrix(logits, splits, 0.0, least=1)
    lengths = splits[1:] - splits[:-1]
    tags = task.crf.decode(matrix, lengths)
    scores = tf.gather(task.crf.marginals(matrix, lengths), tags, batch_dims=2)
    longest = tf.reduce_max(tf.concat([[0], lengths], axis=0))
    return tags[:, :longest], scores[:, :longest], real[:, :longest]
