"""QuestionAnswerer: the part of a text that answers a question, if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from keras import ops

from bert_keras.data.answer_places import locate
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.question_windows import QuestionWindows, window_questions
from bert_keras.data.questions import QuestionExamples, questions_of, read_questions
from bert_keras.data.source import DataSource
from bert_keras.data.tables import shorten
from bert_keras.data.training_examples import TrainingExamples
from bert_keras.errors import UserError
from bert_keras.layers.basic import weight_seed
from bert_keras.metrics import squad
from bert_keras.metrics.glue import mean_cross_entropy
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import graph_checks
from bert_keras.tasks.answer_decoding import AnsweredQuestions, QuestionAnswer, best_answers
from bert_keras.tasks.arrow_inputs import as_examples
from bert_keras.tasks.base import Batch
from bert_keras.tasks.dense_head import DenseHead
from bert_keras.tasks.distillation import soft_divergence, weighted_sum
from bert_keras.tasks.fine_tuned import FineTunedTask, Prepared
from bert_keras.tasks.given_examples import given
from bert_keras.tasks.grouped_inputs import column_dataset
from bert_keras.tasks.input_checks import kind_of
from bert_keras.tasks.inputs import column_strings, gather, is_text
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult

# The logit of padding, where no answer begins or ends.
_PADDING = -1e9
_COLUMNS = ("question", "context")


@dataclasses.dataclass(frozen=True)
class PreparedQuestions(Prepared):
    """`inputs` has a row for each window; `windows` says whose and of what it is.

    `labels` are the first and the last token of the answer in each window, `[W, 2]`; see
    `QuestionWindows.targets`. `problems` says of questions whose answers cannot be found in the
    context why; `moved` counts answers that are not where they are said to be, and `first_moved`
    is the first question with one.
    """

    windows: QuestionWindows
    problems: Mapping[int, str] = dataclasses.field(default_factory=dict)
    moved: int = 0
    first_moved: int = 0

    @property
    def known_windows(self) -> np.ndarray:
        """Which windows have a label, bool `[W]`: those of questions without a problem."""
        known = np.ones(len(self.examples), bool)
        known[list(self.problems)] = False
        return np.repeat(known, np.diff(self.windows.splits))


@keras.saving.register_keras_serializable(package="bert_keras")
class QuestionAnswerer(FineTunedTask):
    """BERT for extractive question answering: a start and an end logit for every token.

    A long context slides through several rows (google-research/bert's `run_squad.py`).

    Args:
        encoder, tokenizer: a BertEncoder, no pooler needed, and its tokenizer.
        impossible: whether a context may have no answer, as in SQuAD 2.0.
        null_score_threshold: how much likelier than the best answer, in logits, no answer must
            be to be given; only where questions may be impossible.
        doc_stride, max_query_length: see `window_questions`.
        n_best, max_answer_length: see `best_answers`.
        max_length, seed: see `BertTask`; `max_length` is that of a window.

    Example:

        model = QuestionAnswerer.from_pretrained("DIR")
        model.compile()
        model.fit(read_questions(DataSource("train-v1.1.json")), epochs=2, batch_size=32)
        model.predict([("Who wrote it?", "Ada wrote it.")])[0].answer
    """

    task_name = "question_answering"
    architecture = "BertForQuestionAnswering"
    head = "question_answering"
    needs_pooler = False
    default_length, shortest = 384, 5
    best_metric = "f1"

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        impossible: bool = False,
        null_score_threshold: float = 0.0,
        doc_stride: int = 128,
        max_query_length: int = 64,
        n_best: int = 20,
        max_answer_length: int = 30,
        max_length: int = 384,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "question_answerer")
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        self.impossible = impossible
        self.null_score_threshold = null_score_threshold
        self.doc_stride, self.max_query_length = doc_stride, max_query_length
        self.n_best, self.max_answer_length = n_best, max_answer_length
        if impossible:
            self.best_metric = "best_f1"
        self.qa_outputs = DenseHead(encoder.config, 2, 0.0, name="qa_outputs")
        with weight_seed(seed):
            self.qa_outputs.build(encoder.config.hidden_size)
        self.built = True

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 logits of start and end `[batch, length, 2]`, -1e9 at padding."""
        states = self.encoder(features, training=training)["sequence_output"]
        there = ops.expand_dims(ops.cast(features["padding_mask"], "bool"), -1)
        # No dropout here, as in the original.
        return ops.where(there, self.qa_outputs(states, training=False), _PADDING)

    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """The mean of the start's and the end's softmax cross-entropy over the tokens, summed."""
        by_position = tf.transpose(outputs, [0, 2, 1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, by_position)
        return StepResult({"loss": LossTerm.of(tf.reduce_mean(losses, axis=1), weights)}, outputs)

    def distance_from(
        self, targets: Any, outputs: Any, features: Any, labels: Any, weights: Any, temperature: Any
    ) -> tf.Tensor:
        """As for classes, which here are the positions; the mean of start and end."""
        targets, outputs = (tf.transpose(part, [0, 2, 1]) for part in (targets, outputs))
        both = tf.ones_like(labels, tf.float32) / 2
        if weights is not None:
            both *= tf.cast(weights, tf.float32)[:, None]
        return weighted_sum(soft_divergence(targets, outputs, temperature), both)

    def inputs_of(self, x: Any, name: str) -> Any:
        """As `FineTunedTask.inputs_of`; questions have answers, so that texts are refused."""
        x = as_examples(self, x, labelled=True)
        dataset = isinstance(x, tf.data.Dataset)
        if is_text(x.element_spec) if dataset else not isinstance(x, (Mapping, QuestionExamples)):
            raise UserError(
                f"{name} is {kind_of(x)}; expected questions with their answers: "
                "questions_of(questions, contexts, answers) or what read gives, or features"
            )
        return super().inputs_of(x, name)

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """The positions of the answer's first and last token, int32 `[batch, 2]`."""
        message = "an answer's token is not a whole number of at least 0"
        whole = graph_checks.whole_numbers(labels, message)
        return tf.cast(graph_checks.checked(whole, whole >= 0, labels, message), tf.int32)

    @classmethod
    def options_from(cls, train: QuestionExamples, given: Mapping[str, Any]) -> dict[str, Any]:
        if not train.has_impossible() and given.get("null_score_threshold") is not None:
            raise UserError(f"--null_score_threshold: all questions of {train.source} have answers")
        # Another training's threshold says nothing of this one.
        return {"null_score_threshold": 0.0, **given, "impossible": train.has_impossible()}

    def _set_up(self, x: Any, y: Any) -> None:
        if isinstance(x, QuestionExamples):
            self.impossible = self.impossible or x.has_impossible()

    @classmethod
    def read(cls, source: DataSource, labelled: bool = True) -> QuestionExamples:
        return read_questions(source, labelled)

    @classmethod
    def examples_of(cls, x: Any) -> QuestionExamples:
        """A list of pairs (question, context); a dict with `question` and `context`; a tuple
        (questions, contexts); or a dataset of batches of these."""
        if isinstance(x, QuestionExamples):
            return x
        if isinstance(x, tf.data.Dataset):
            x = gather(column_dataset(x, (_COLUMNS,), "x"))
        questions, contexts = column_strings(x, _COLUMNS, "x")
        return given(questions_of(questions, contexts), "x")

    def prepare(self, examples: QuestionExamples) -> PreparedQuestions:
        sizes = self.max_length, self.doc_stride, self.max_query_length
        windows = window_questions(self.tokenizer, examples.questions, examples.contexts, *sizes)
        if examples.answers is None:
            return PreparedQuestions(examples, windows.inputs, None, windows)
        return _with_targets(examples, windows)

    def without_unusable(self, prepared: Prepared, bad_rows: BadRows) -> Prepared:
        """Returns the questions whose answers were found; warns of answers that were moved.

        Raises:
            UserError: an answer is not in its context, and bad rows are not to be skipped.
        """
        assert isinstance(prepared, PreparedQuestions)
        examples = prepared.examples
        if prepared.moved:
            logging.warning(
                "%s: the answer is not at its answer_start; this one and %d more were moved to "
                "the nearest place that has the text",
                examples.where(prepared.first_moved),
                prepared.moved - 1,
            )
        for index, problem in prepared.problems.items():
            bad_rows.reject(examples.where(index), problem, examples.row(index))
        kept = [index for index in range(len(examples)) if index not in prepared.problems]
        if not kept:
            raise UserError(f"{examples.source}: has no questions that can be used")
        usable = self.prepare(examples.chosen(kept)) if prepared.problems else prepared
        # So that nobody is warned of them twice.
        return dataclasses.replace(usable, moved=0)

    def training_examples(self, prepared: Prepared) -> TrainingExamples:
        """Windows with their targets; a UserError where an answer is not in its context."""
        return super().training_examples(self.without_unusable(prepared, BadRows()))

    def run(self, prepared: Prepared, batch_size: int | None = None) -> AnsweredQuestions:
        assert isinstance(prepared, PreparedQuestions)
        logits = self.token_outputs(prepared.inputs, batch_size)
        limits = self.n_best, self.max_answer_length, 0.0 if self.impossible else None
        answers = best_answers(prepared.windows, prepared.examples.contexts, logits, *limits)
        return AnsweredQuestions(logits, answers)

    def answers(self, prepared: Prepared, outputs: AnsweredQuestions) -> list[QuestionAnswer]:
        threshold = self.null_score_threshold if self.impossible else None
        return [answer.with_threshold(threshold) for answer in outputs.answers]

    def metrics_of(self, prepared: Prepared, outputs: AnsweredQuestions) -> dict[str, float]:
        """Loss, and SQuAD's metrics in percent; those of 2.0 where questions may be impossible."""
        texts = [answer.answer for answer in self.answers(prepared, outputs)]
        golds = prepared.examples.gold_texts()
        assert isinstance(prepared, PreparedQuestions)
        rows = zip(prepared.gold, outputs.logits, prepared.known_windows, strict=True)
        losses = [mean_cross_entropy(x, y.T) for x, y, known in rows if known]
        loss = {"loss": float(np.mean(losses)) if losses else 0.0}
        if not self.impossible and all(golds):
            return {**loss, **squad.answerable_metrics(texts, golds)}
        return {**loss, **squad.metrics_with_impossible(texts, golds, *outputs.best_and_null())}

    def tune(self, dev: Prepared, outputs: AnsweredQuestions, given: Mapping[str, Any]) -> None:
        """Sets the threshold that gives the best F1, where there is one and none was chosen."""
        if self.impossible and "null_score_threshold" not in given:
            scores = outputs.best_and_null()
            self.null_score_threshold = squad.tuned_threshold(*scores, dev.examples.gold_texts())

    def metric_names(self) -> tuple[str, ...]:
        return ("exact_match", "f1", *(("best_exact", "best_f1") if self.impossible else ()))

    def scored_row(self, example: Mapping[str, Any], answer: QuestionAnswer) -> dict[str, Any]:
        """As for every task, with `n_best` answers, and its own `exact_match` and `f1`, 0 to 1."""
        row, golds = self.answer_row(answer), [gold["text"] for gold in example["answers"]]
        (exact,), (f1,) = squad.raw_scores([answer.answer], [golds])
        named = {"prediction": row.pop("answer"), "n_best": row.pop("answers")}
        return {**example, **named, **row, "exact_match": exact, "f1": f1}

    def options(self) -> dict[str, Any]:
        names = ("impossible", "null_score_threshold", "doc_stride", "max_query_length")
        return {name: getattr(self, name) for name in (*names, "n_best", "max_answer_length")}

    def head_weights(self) -> dict[str, keras.Variable]:
        return self.qa_outputs.head_weights()


def _with_targets(examples: QuestionExamples, windows: QuestionWindows) -> PreparedQuestions:
    """Returns the windows with the targets of the first answer that is in its context."""
    places: list[tuple[int, int] | None] = []
    problems, moved = {}, []
    for index, (context, answers) in enumerate(
        zip(examples.contexts, examples.answers or [], strict=True)
    ):
        found = [place for text, start in answers if (place := locate(context, text, start))]
        places.append(found[0][:2] if found else None)
        if answers and not found:
            problems[index] = f"the answer {shorten(answers[0].text)!r} is not in the context"
        elif found and found[0].moved:
            moved.append(index)
    targets, has_tokens = windows.targets(places)
    for index in np.flatnonzero(~has_tokens).tolist():
        text = (examples.answers or [])[index][0].text
        problems[index] = f"the answer {shorten(text)!r} has no tokens"
    first = moved[0] if moved else 0
    return PreparedQuestions(
        examples, windows.inputs, targets, windows, problems, len(moved), first
    )
