"""SentenceEmbedder: a vector for a text, close to those of texts that mean the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from bert_keras.data.grouped_examples import GroupedExamples, group_splits
from bert_keras.data.sentences_to_embed import SentencesToEmbed, read_sentences, sentences_of
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError
from bert_keras.layers.token_pooling import POOLINGS, pool_tokens
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import embedding_answers, embedding_losses, graph_checks, input_checks
from bert_keras.tasks.base import Batch
from bert_keras.tasks.distillation import weighted_sum
from bert_keras.tasks.fine_tuned import FineTunedTask, Prepared
from bert_keras.tasks.given_examples import given
from bert_keras.tasks.grouped_inputs import (
    GroupedInputs,
    PreparedGroups,
    as_groups,
    as_rows,
    text_columns,
)
from bert_keras.tasks.prompts import Prompts, with_prompt
from bert_keras.tasks.sentence_directory import SentenceDirectory
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult

_TRIPLET = ("anchor", "positive", "negative")


@keras.saving.register_keras_serializable(package="bert_keras")
class SentenceEmbedder(SentenceDirectory, GroupedInputs, FineTunedTask):
    """Sentence-BERT (Reimers & Gurevych 2019, https://arxiv.org/abs/1908.10084).

    A text's vector is pooled from the states of its tokens.

    Args:
        encoder, tokenizer, max_length, seed: see `BertTask`.
        pooling: "mean" or "max" over the tokens, or "cls"; padding is not looked at.
        normalize: whether vectors are divided by their length.
        loss: of `fit`: "cosine" for pairs with scores, "multiple_negatives" for pairs or
            triplets, "triplet".
        max_score: what a score of 1 is called in the data; None for 1, or 5 where there are
            scores above 1, as in STS-B.
        prompts, default_prompt_name: what is put in front of texts, by name, and which of it
            every text gets, in training too, unless another is asked for.
        similarity: kept for sentence-transformers' `similarity`; here vectors are compared by
            cosine.

    Example:

        embedder = SentenceEmbedder.from_pretrained("all-MiniLM-L6-v2")
        embedder.embed(["a text", "another"])   # float32 [2, 384]
    """

    task_name = "embedding"
    architecture = "BertModel"
    head = None
    needs_pooler = False
    best_metric = "spearman"
    kinds = (("text",), ("text", "text_pair"), ("anchor", "positive"), _TRIPLET)
    default_length = 0  # The checkpoint's, see `stored_length`.

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        pooling: str = "mean",
        normalize: bool = True,
        loss: str = "cosine",
        max_score: float | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity: str | None = "cosine",
        max_length: int = 256,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        for name, value, known in (
            ("pooling", pooling, POOLINGS),
            ("loss", loss, embedding_losses.LOSSES),
        ):
            if value not in known:
                raise UserError(f"{name} is {value!r}, expected one of {', '.join(known)}")
        kwargs.setdefault("name", "sentence_embedder")
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        self.pooling = pooling
        self.normalize = normalize
        self.training_loss = loss
        self.max_score = max_score
        self.prompts = Prompts(dict(prompts or {}), default_prompt_name)
        self.similarity = similarity
        self.built = True

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 vectors `[batch, hidden]`, or `[batch, group, hidden]` of features
        `[batch, group, length]`."""
        rows, shape = as_rows(features)
        states = self.encoder(rows, training=training)["sequence_output"]
        vectors = pool_tokens(states, rows["padding_mask"], self.pooling)
        if self.normalize:
            vectors = ops.normalize(vectors, axis=-1, order=2)
        return ops.reshape(vectors, (*shape, self.encoder.config.hidden_size))

    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """The loss of vectors `[batch, group, hidden]`, summed, with the weight of each example.

        Under a strategy the negatives of an example are those of its own replica.
        """
        losses = embedding_losses.losses_of(self.training_loss, outputs, labels)
        return StepResult({"loss": LossTerm.of(losses, weights)}, outputs)

    def vector_width(self) -> int:
        return int(self.encoder.config.hidden_size)

    def distance_from(self, targets: Any, outputs: Any, *batch: Any) -> tf.Tensor:
        """See `embedding_losses.distances`; summed with the weight of each example."""
        return weighted_sum(embedding_losses.distances(targets, outputs), batch[2])

    def preprocess(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Columns of texts `[batch]` as features `[batch, group, length]`, in the graph."""
        columns = tf.stack(text_columns(x, self.kinds), axis=1)
        texts = self.prompts.named(None) + tf.reshape(columns, [-1])
        rows = self.tokenizer(texts, max_length=self.max_length)
        labels = None if y is None else self.preprocess_labels(y)
        parts = (as_groups(rows, columns.shape[1]), labels, sample_weight)
        return tuple(part for part in parts if part is not None)

    def _needs_labels(self) -> bool:
        return self.training_loss == "cosine"

    def _set_up(self, x: Any, y: Any) -> None:
        """Finds `max_score` in the scores of lists, if it is not given; see `max_score_of`."""
        if not isinstance(x, tuple):
            return
        scores = None if y is None else input_checks.finite_numbers(y, "y")
        if scores and self.max_score is None:
            self.max_score = embedding_losses.max_score_of(scores, "y")
        embedding_losses.check_loss(self.training_loss, given(sentences_of(x, scores), "x"))

    def labels_of(self, y: Any, x: Any, name: str) -> Any:
        """Returns scores from 0 to `max_score` as an array."""
        highest = self.max_score or 1.0
        expected = f"a score from 0 to {highest:g}, which is max_score"
        scores = input_checks.finite_numbers(y, name, expected)
        for index, score in enumerate(scores):
            if not 0 <= score <= highest:
                raise input_checks.unexpected(y, name, index, score, expected)
        return np.asarray(scores, np.float32)

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Scores over `max_score`, float32."""
        highest = self.max_score or 1.0
        scores = graph_checks.finite(labels, "score")
        message = f"a score is not from 0 to {highest:g}, which is max_score"
        valid = (scores >= 0) & (scores <= highest)
        return graph_checks.checked(scores / highest, valid, scores, message)

    # Data, answers and metrics.

    @classmethod
    def read(cls, source: DataSource, labelled: bool = True) -> SentencesToEmbed:
        """Texts, pairs with or without scores, or triplets; see `read_sentences`."""
        return read_sentences(source, labelled)

    @classmethod
    def options_from(cls, train: SentencesToEmbed, given: Mapping[str, Any]) -> dict[str, Any]:
        options = {"loss": embedding_losses.default_loss(train), **given}
        embedding_losses.check_loss(options["loss"], train)
        if train.scores is not None and "max_score" not in given:
            options["max_score"] = train.max_score()
        return options

    @classmethod
    def examples_of(cls, x: Any) -> SentencesToEmbed:
        """A list of texts, a tuple of two or three lists, or a dataset of batches of these."""
        if isinstance(x, SentencesToEmbed):
            return x
        return given(sentences_of(cls.text_arrays(cls.columns_of(x))), "x")

    def prepare(self, examples: SentencesToEmbed) -> PreparedGroups:
        """Rows of tokens, the texts of an example one after the other; scores from 0 to 1."""
        texts = [text for row in zip(*examples.columns, strict=True) for text in row]
        labels = None
        if examples.scores is not None:
            highest = self.max_score or examples.max_score()
            labels = np.asarray(examples.scaled_scores(highest), np.float32)
        splits = group_splits([examples.group] * len(examples))
        inputs = self.encode(with_prompt(texts, self.prompts.named(None)))
        return PreparedGroups(examples, inputs, labels, splits)

    def training_examples(self, prepared: Prepared) -> GroupedExamples:
        embedding_losses.check_loss(self.training_loss, prepared.examples)
        if prepared.labels is None:
            # The other losses look at no labels.
            none = np.zeros(len(prepared.examples), np.float32)
            prepared = dataclasses.replace(prepared, labels=none)
        return super().training_examples(prepared)

    def run(self, prepared: Prepared, batch_size: int | None = None) -> npt.NDArray[np.float32]:
        """Vectors `[N, group, hidden]`."""
        vectors = self.raw_outputs(prepared.inputs, batch_size)
        return vectors.reshape(-1, prepared.examples.group, vectors.shape[-1])

    def embed(
        self, texts: Any, batch_size: int | None = None, prompt_name: str | None = None
    ) -> npt.NDArray[np.float32]:
        """Returns the vectors of texts, float32 `[N, hidden]`.

        `prompt_name` is of one of the model's prompts; None for its default, if it has one.
        """
        return self._embed(texts, self.prompts.named(prompt_name), batch_size)

    def encode_query(self, texts: Any, batch_size: int | None = None) -> npt.NDArray[np.float32]:
        """Returns the vectors of queries of a search, with the prompt `query` if there is one."""
        return self._embed(texts, self.prompts.query, batch_size)

    def encode_document(self, texts: Any, batch_size: int | None = None) -> npt.NDArray[np.float32]:
        """Returns the vectors of texts to search, with the prompt `document`, `passage` or
        `corpus` if there is one."""
        return self._embed(texts, self.prompts.document, batch_size)

    def _embed(self, texts: Any, prompt: str, batch_size: int | None) -> npt.NDArray[np.float32]:
        strings = with_prompt(input_checks.strings(texts, "texts"), prompt)
        return self.raw_outputs(self.encode(strings), input_checks.batch_size(batch_size))

    def answers(self, prepared: Prepared, outputs: Any) -> list[Any]:
        """An `Embedding` for each text, or a `Similarity` for each pair or triplet."""
        return embedding_answers.answers_of(prepared, outputs)

    def answer_row(self, answer: Any) -> dict[str, Any]:
        return embedding_answers.row_of(answer)

    def metrics_of(self, prepared: Prepared, outputs: Any) -> dict[str, float]:
        """See `embedding_answers.metrics_of`."""
        return embedding_answers.metrics_of(prepared, outputs)

    def metric_names(self) -> tuple[str, ...]:
        return embedding_answers.metric_names(True) + embedding_answers.metric_names(False)

    def metrics_for(self, examples: SentencesToEmbed) -> tuple[str, ...]:
        return embedding_answers.metric_names(examples.scores is not None)

    # Saving.

    def options(self) -> dict[str, Any]:
        own = {"pooling": self.pooling, "normalize": self.normalize, "loss": self.training_loss}
        return {**own, "max_score": self.max_score, **self.options_of_texts()}
