"""TokenTagger: a tag for every word of a sentence, and the entities that the tags make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.data.training_examples import NO_LABEL
from bert_keras.layers.crf import LinearChainCRF
from bert_keras.metrics import entities, tag_schemes
from bert_keras.models.encoder import BertEncoder
from bert_keras.optimization.layer_decay import RateFactors
from bert_keras.tasks import tag_decoding
from bert_keras.tasks.base import Batch
from bert_keras.tasks.entity_answers import Tagging, tagging_of
from bert_keras.tasks.labelled import columns_of
from bert_keras.tasks.tag_decoding import TaggedWords
from bert_keras.tasks.word_task import PreparedWords, WordTask
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult

# Scores of transitions are of the size of logits; steps that suit BERT would never take them there.
_CRF_RATE = 100.0


@keras.saving.register_keras_serializable(package="bert_keras")
class TokenTagger(WordTask):
    """BERT for token classification: dropout and a dense layer on each word's first token.

    Args:
        encoder: a BertEncoder; it needs no pooler.
        tokenizer: the BertTokenizer of its vocabulary.
        labels: the tags in the order of the logits. None leaves them to `fit`.
        tag_scheme: IOB1, IOB2 or IOBES; "none" where tags have no prefixes; None for what the
            labels look like. Tags of other schemes are converted to it.
        crf: whether a linear-chain CRF scores neighbouring tags.
        max_length: tokens the encoder sees at once; longer sentences are split and rejoined.
        seed: see `BertTask`.

    Example:

        tagger = TokenTagger.from_pretrained("DIR")
        tagger.compile()
        tagger.fit([["Ada", "slept"]], [["B-person", "O"]], epochs=3)
        tagger.predict(["Ada slept."])[0].entities
    """

    task_name = "tagging"
    architecture = "BertForTokenClassification"
    needs_pooler = False
    best_metric = "f1"

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        labels: Sequence[str] | None = None,
        tag_scheme: str | None = None,
        crf: bool = False,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "token_tagger")
        super().__init__(encoder, tokenizer, None, max_length, seed, **kwargs)
        self.tag_scheme = tag_scheme
        self.crf = LinearChainCRF(name="crf") if crf else None
        if labels is not None:
            self.set_labels(labels)

    def set_labels(self, labels: Sequence[Any]) -> None:
        names = [str(label) for label in labels]
        super().set_labels(names)
        scheme = self.tag_scheme = self.tag_scheme or tag_schemes.scheme_of_labels(names)
        if scheme == tag_schemes.NO_SCHEME:
            self.best_metric = "accuracy"
        if self.crf is not None and not self.crf.built:
            self.crf.num_tags = len(names)
            self.crf.build()
            ends = [*self.standard_labels, tag_schemes.OUTSIDE]
            allowed = [[tag_schemes.allowed(a, b, scheme) for b in ends] for a in ends]
            self.crf.constrain(np.array(allowed))
            self.decoder = tag_decoding.SequenceDecoder(self.crf)

    def _set_up(self, x: Any, y: Any) -> None:
        super()._set_up(x, y)
        self.check_training_tags(x, y)

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 logits `[batch, length, tags]`."""
        states = self.encoder(features, training=training)["sequence_output"]
        return self.logits_of(states, features, training)

    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """Cross-entropy of the labelled tokens, or the CRF's of each row's, in sum; the weight
        is their number. `labels` are int32 `[batch, length]`; unknown tags count nothing."""
        labelled = (labels != NO_LABEL) & (labels < len(self.labels))
        weight = tf.cast(labelled, tf.float32)
        if self.crf is None:
            labels = tf.where(labelled, labels, 0)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs) * weight
        else:
            # The labelled tokens of a row, and only these, are neighbours.
            counts = tf.math.count_nonzero(labelled, axis=1, dtype=tf.int32)
            order = tf.argsort(tf.cast(~labelled, tf.int32), axis=1, stable=True)
            order = order[:, : tf.maximum(tf.reduce_max(counts), 1)]
            losses = self.crf.negative_log_likelihood(
                tf.gather(outputs, order, batch_dims=1),
                tf.gather(labels, order, batch_dims=1),
                counts,
            )
        return StepResult({"loss": LossTerm(tf.reduce_sum(losses), tf.reduce_sum(weight))}, outputs)

    def rate_factors(self, layer_decay: float = 1.0) -> RateFactors:
        """The CRF, which starts from zeros and is no part of BERT, learns much faster."""
        return [("(^|/)crf/", _CRF_RATE), *super().rate_factors(layer_decay)]

    # Answers and metrics.

    def run(self, prepared: Any, batch_size: int | None = None) -> TaggedWords:
        """What the model says of every word; a CRF decides over whole sentences."""
        tokens = self.token_outputs(prepared.inputs, batch_size)
        empty = np.zeros((0, len(self.labels)), np.float32)
        logits = np.concatenate([empty, *tokens])[prepared.windows.tokens]
        if self.crf is None:
            return tag_decoding.best_tags(logits)
        return self.decoder.best_tags(logits, prepared.windows.splits)

    def answers(self, prepared: Any, outputs: TaggedWords) -> list[Tagging]:
        scores = prepared.by_sentence(outputs.scores)
        names = prepared.by_sentence(np.asarray(self.labels, object)[outputs.tags])
        standard = self._standard_names(prepared, outputs.tags)
        parts = zip(prepared.placed, names, scores, standard, strict=True)
        return [
            tagging_of(placed, tags, own, str(self.tag_scheme), written)
            for placed, tags, own, written in parts
        ]

    def _standard_names(self, prepared: PreparedWords, tags: np.ndarray) -> list[list[str]]:
        """Returns the tags of the indices `[W]` in standard form, sentence by sentence."""
        return prepared.by_sentence(np.asarray(self.standard_labels, object)[tags])

    def metrics_of(self, prepared: Any, outputs: TaggedWords) -> dict[str, float]:
        """Loss, accuracy of words, and precision, recall and F1 of entities.

        The loss is that of the words whose tags are known. Words of other tags count as wrong, and
        entities of other types as missed.
        """
        gold, splits = prepared.word_labels, prepared.windows.splits
        known = gold < len(self.labels)
        logits, labels = outputs.logits[known], gold[known]
        if self.crf is None:
            loss = tag_decoding.cross_entropies(logits, labels).sum()
        else:
            # As in training, the words with a label are neighbours.
            kept = np.concatenate([[0], np.cumsum(known)])[splits]
            loss = self.decoder.cost(logits, labels, kept)
        metrics = {"loss": float(loss) / max(1, len(labels))}
        if self.tag_scheme != tag_schemes.NO_SCHEME:
            score = self._scores(prepared, outputs).micro
            metrics |= {"precision": score.precision, "recall": score.recall, "f1": score.f1}
        return {**metrics, "accuracy": int(np.sum(gold == outputs.tags)) / max(1, len(gold))}

    def _scores(self, prepared: PreparedWords, outputs: TaggedWords) -> entities.EntityScores:
        plain = self.tag_scheme == tag_schemes.NO_SCHEME
        spans_of = entities.word_spans if plain else tag_schemes.spans_of
        found = self._standard_names(prepared, outputs.tags)
        return entities.entity_scores(
            map(spans_of, prepared.examples.tags or []), map(spans_of, found)
        )

    def details(self, prepared: Any, outputs: TaggedWords) -> dict[str, Any]:
        """The scores of each type (of each tag, if tags have no prefixes), and their means."""
        scores = self._scores(prepared, outputs)
        per_type = {kind: dataclasses.asdict(one) for kind, one in scores.per_type.items()}
        return {"per_type": per_type, "macro": dataclasses.asdict(scores.macro)}

    def metric_names(self) -> tuple[str, ...]:
        plain = self.tag_scheme == tag_schemes.NO_SCHEME
        return ("accuracy",) if plain else ("f1", "precision", "recall", "accuracy")

    # Saving.

    def options(self) -> dict[str, Any]:
        return {**super().options(), "tag_scheme": self.tag_scheme, "crf": self.crf is not None}

    def heads(self) -> dict[str, dict[str, keras.Variable]]:
        heads = super().heads()
        return heads if self.crf is None else {**heads, "crf": self.crf.named_weights()}

    def head_names(self) -> list[str]:
        return [*super().head_names(), *(() if self.crf is None else ("crf",))]

    def take_head(self, checkpoint: checkpoints.Checkpoint, stored: Mapping[str, Any]) -> None:
        super().take_head(checkpoint, stored)
        columns = columns_of(stored["labels"] or (), self.labels)
        if self.crf is None or columns is None or not checkpoint.has_head("crf"):
            return
        weights = self.crf.named_weights()
        for name, value in checkpoint.head("crf").items():
            weights[name].assign(value[np.ix_(*[columns] * value.ndim)])
