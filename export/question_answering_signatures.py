"""The signature of a QuestionAnswerer: questions and contexts in, answers out."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.export.answer_ranking import Spans, ranked_answers
from bert_keras.export.guards import Outputs, Signatures, same_batch, text_specs
from bert_keras.export.question_windows import windows_of
from bert_keras.export.sliding import token_outputs
from bert_keras.tasks import QuestionAnswerer


def question_answering(task: QuestionAnswerer) -> Signatures:
    """`serving_default` on questions and contexts of any length, which slide inside the graph."""

    def predict(question: tf.Tensor, context: tf.Tensor) -> Outputs:
        question, context = same_batch(question, context)
        windows = windows_of(task, question, context)
        logits = token_outputs(task, windows.features, 2)
        spans = Spans.of(windows, logits, task.n_best, task.max_answer_length)
        threshold = task.null_score_threshold if task.impossible else None
        return ranked_answers(spans, windows.contexts, context, task.n_best, threshold)

    return {
        "serving_default": tf.function(predict, input_signature=text_specs(["question", "context"]))
    }
