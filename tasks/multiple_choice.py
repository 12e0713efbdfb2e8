"""MultipleChoice: which of several texts goes on from, or answers, a context."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_keras.data.choices import ChoiceExamples, examples_of_choices, read_choices
from bert_keras.data.grouped_examples import group_splits, padded_groups
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError
from bert_keras.layers.basic import weight_seed
from bert_keras.metrics.glue import accuracy, mean_cross_entropy
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import graph_checks, input_checks
from bert_keras.tasks.base import Batch
from bert_keras.tasks.dense_head import DenseHead, classifier_dropout
from bert_keras.tasks.fine_tuned import FineTunedTask, Prepared
from bert_keras.tasks.given_examples import given
from bert_keras.tasks.grouped_inputs import (
    GroupedInputs,
    PreparedGroups,
    as_groups,
    as_rows,
    column_names,
    text_columns,
)
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult

# The logit of a choice that an example does not have: its probability is 0, its loss finite.
_NO_CHOICE = -1e9


def _checked_in_graph(labels: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Returns labels `[batch]` that are below the counts of the choices `[batch]`."""
    labels = tf.reshape(labels, [-1])
    valid = (labels >= 0) & (labels < counts)
    message = "a label is not the number of one of its choices"
    return graph_checks.checked(labels, valid, labels, message)


@dataclasses.dataclass(frozen=True)
class Choice:
    """The answer for one input: the likeliest choice's number and text, and all probabilities."""

    choice: int
    text: str
    scores: list[float]


@keras.saving.register_keras_serializable(package="bert_keras")
class MultipleChoice(GroupedInputs, FineTunedTask):
    """BERT for multiple choice: dropout and one output on the pooled output of each choice.

    An example is a context and two choices or more; their number may differ between examples.
    Each choice is read together with the context, as a pair of texts, and the softmax is over
    the choices (Zellers et al. 2018, https://arxiv.org/abs/1808.05326).

    Args:
        encoder: a BertEncoder with a pooler.
        tokenizer: the BertTokenizer of its vocabulary.
        max_length, seed: see `BertTask`.

    Example:

        model = MultipleChoice.from_pretrained("DIR")
        model.compile()
        model.fit((contexts, choices), labels, epochs=3)   # choices: a list of texts each
        model.predict((["It rained. He"], [["took an umbrella.", "ate it."]]))[0].text
    """

    task_name = "multiple_choice"
    architecture = "BertForMultipleChoice"
    head = "classifier"
    best_metric = "accuracy"
    metrics_taken = "names"
    kinds = (("context", "choices"),)

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "multiple_choice")
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        config = encoder.config
        self.classifier = DenseHead(config, 1, classifier_dropout(config))
        with weight_seed(seed):
            self.classifier.build(config.hidden_size)
        self.built = True

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 logits `[batch, choices]` of features `[batch, choices, length]`.

        A choice that is all padding has the logit -1e9. Features `[rows, length]`, a choice
        each, give `[rows]`.
        """
        rows, shape = as_rows(features)
        pooled = self.encoder.pooled(rows, training=training)
        seed = self.dropout_seed(rows) if training else None
        logits = self.classifier(pooled, training=training, dropout_seed=seed)
        there = ops.any(ops.cast(rows["padding_mask"], "bool"), axis=-1)
        return ops.reshape(ops.where(there, logits[:, 0], _NO_CHOICE), shape)

    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """Softmax cross-entropy over the choices, summed, with the weight of each example."""
        labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        return StepResult({"loss": LossTerm.of(losses, weights)}, outputs)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def preprocess(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """(contexts `[batch]`, choices `[batch, choices]`) as features, in the graph.

        A choice that is an empty text is none.
        """
        contexts, choices = text_columns(x, self.kinds)
        if isinstance(choices, tf.RaggedTensor):
            choices = choices.to_tensor("")
        group = tf.shape(choices)[1]
        flat = tf.reshape(choices, [-1])
        features = self.tokenizer(tf.repeat(contexts, group), flat, max_length=self.max_length)
        there = tf.cast(flat != "", tf.int32)
        features["padding_mask"] *= there[:, None]
        if y is not None:
            counts = tf.reduce_sum(tf.reshape(there, tf.shape(choices)), axis=1)
            y = _checked_in_graph(self.preprocess_labels(y), counts)
        parts = (as_groups(features, group), y, sample_weight)
        return tuple(part for part in parts if part is not None)

    def labels_of(self, y: Any, x: Any, name: str) -> Any:
        """Returns the numbers of the right choices; each must be one of its example's."""
        y = input_checks.column(y)
        found = []
        for index, value in enumerate(input_checks.elements(y, name, "numbers of choices")):
            number = input_checks.whole_number(value)
            count = sum(map(bool, x[1][index])) if index < len(x[1]) else len(x[1])
            if number is None or not 0 <= number < count:
                expected = f"the number of a choice, from 0 to {count - 1}"
                raise input_checks.unexpected(y, name, index, value, expected)
            found.append(number)
        return np.asarray(found, np.int32)

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """The numbers of the right choices, from 0, int32."""
        whole = graph_checks.whole_numbers(labels, "a label is not the number of a choice")
        return tf.cast(whole, tf.int32)

    @classmethod
    def text_arrays(cls, x: Any, name: str = "x") -> tuple[Any, ...]:
        """Returns contexts `[N]` and choices `[N, most choices]`, padded with empty texts."""
        contexts, choices = cls._texts(x, name)
        width = max(map(len, choices), default=0)
        return contexts, [row + [""] * (width - len(row)) for row in choices]

    @classmethod
    def _texts(cls, x: Any, name: str) -> tuple[list[str], list[list[str]]]:
        """Returns contexts and, without the empty texts at their ends, the choices of each."""
        columns = text_columns(x, cls.kinds, name)
        names = column_names(x, cls.kinds, name)
        rows = columns[1]
        if isinstance(rows, (np.ndarray, tf.Tensor)) and len(rows.shape) == 2:
            rows = list(np.asarray(rows))
        contexts = input_checks.strings(columns[0], names[0])
        choices = input_checks.string_lists(rows, names[1], "choices")
        input_checks.check_count(len(choices), names[1], len(contexts), names[0])
        for index, row in enumerate(choices):
            while row and not row[-1]:
                row.pop()
            if len(row) < 2 or "" in row:
                raise UserError(
                    f"{input_checks.place(rows, names[1], index)} is {input_checks.shown(row)}; "
                    "expected two choices or more, none of them empty"
                )
        return contexts, choices

    # Data, answers and metrics.

    @classmethod
    def read(cls, source: DataSource, labelled: bool = True) -> ChoiceExamples:
        """Contexts, their choices and the right one's number; see `read_choices`."""
        return read_choices(source, labelled)

    @classmethod
    def examples_of(cls, x: Any) -> ChoiceExamples:
        """A tuple (contexts, choices), `choices` a list of texts for each context; or a dataset
        of batches of such."""
        if isinstance(x, ChoiceExamples):
            return x
        return given(examples_of_choices(*cls._texts(cls.columns_of(x), "x")), "x")

    def prepare(self, examples: ChoiceExamples) -> PreparedGroups:
        sizes = [len(row) for row in examples.choices]
        contexts = [
            context
            for context, size in zip(examples.contexts, sizes, strict=True)
            for _ in range(size)
        ]
        choices = [choice for row in examples.choices for choice in row]
        labels = None if examples.labels is None else np.asarray(examples.labels, np.int32)
        inputs = self.encode(contexts, choices)
        return PreparedGroups(examples, inputs, labels, group_splits(sizes))

    def run(self, prepared: Prepared, batch_size: int | None = None) -> np.ndarray:
        """Logits `[N, choices]`, -1e9 where an example has no choice."""
        assert isinstance(prepared, PreparedGroups)
        logits = self.raw_outputs(prepared.inputs, batch_size)
        return padded_groups(logits, prepared.splits, _NO_CHOICE)

    def answers(self, prepared: Prepared, outputs: np.ndarray) -> list[Choice]:
        """Logits `[N, choices]` as the likeliest choice with the probabilities of all."""
        answers = []
        for row, logits in zip(prepared.examples.choices, outputs, strict=True):
            scores = ops.convert_to_numpy(ops.softmax(logits[: len(row)])).tolist()
            best = int(np.argmax(scores))
            answers.append(Choice(best, row[best], scores))
        return answers

    def metrics_of(self, prepared: Prepared, outputs: np.ndarray) -> dict[str, float]:
        """Loss and accuracy from logits and the numbers of the right choices."""
        labels = prepared.gold
        return {
            "loss": mean_cross_entropy(labels, outputs),
            "accuracy": accuracy(labels, outputs.argmax(axis=-1)),
        }

    def metric_names(self) -> tuple[str, ...]:
        return ("accuracy",)

    # Saving.

    def options(self) -> dict[str, Any]:
        return {}

    def head_weights(self) -> dict[str, keras.Variable]:
        return self.classifier.head_weights()
