"""FillMask: the words that a pretrained BERT puts in place of [MASK]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bert_keras import checkpoints
from bert_keras.data.encoded import encode
from bert_keras.data.examples import Examples
from bert_keras.errors import UserError
from bert_keras.layers.basic import weight_seed
from bert_keras.layers.masked_lm_head import MaskedLMHead
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import graph_checks, input_checks, mask_words
from bert_keras.tasks.answering import AnsweringTask, Prepared
from bert_keras.tasks.base import Batch
from bert_keras.tasks.filled_text import MASK, FilledText, filled_text
from bert_keras.tasks.inputs import split_texts
from bert_keras.tasks.text_inputs import TextInputs
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.train_step import LossTerm, StepResult


class Likeliest(NamedTuple):
    """The likeliest tokens at the masks of one text: ids and probabilities, `[masks, k]`."""

    ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


@keras.saving.register_keras_serializable(package="bert_keras")
class FillMask(TextInputs, AnsweringTask):
    """BERT's masked language model: what stands where a text says "[MASK]".

    It is trained by `BertPretrainer`; `fit` here takes texts with masks and the missing words.

    Args:
        encoder: a BertEncoder.
        tokenizer: the BertTokenizer of its vocabulary, which has [MASK].
        top_k: tokens to give for each mask.
        max_length, seed: see `BertTask`.

    Example:

        model = FillMask.from_pretrained("DIR")     # BertForMaskedLM or BertForPreTraining
        answer = model.predict(["Paris is the [MASK] of France."])[0]
        answer.filled, answer.masks[0][0].token, answer.masks[0][0].score
    """

    task_name = "fill_mask"
    architecture = "BertForMaskedLM"
    head = "masked_lm"
    needs_pooler = False
    default_length = 512
    pairs = False

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        top_k: int = 5,
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "fill_mask")
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        self.top_k = _checked(top_k)
        self.masked_lm = MaskedLMHead(encoder.config, name="masked_lm", dtype=self.dtype_policy)
        with weight_seed(seed):
            self.masked_lm.build()
        self.built = True

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 logits `[masks, vocabulary]`, of every [MASK] of the batch, row by row."""
        sequence = self.encoder(features, training=training)["sequence_output"]
        places = tf.where(tf.equal(features["token_ids"], self.tokenizer.mask_id))
        table = self.encoder.embeddings.word_embeddings
        return self.masked_lm(tf.gather_nd(sequence, places), table, training=training)

    def loss_terms(self, outputs: Any, labels: Any, weights: Any) -> StepResult:
        """Cross-entropy, summed over the masks, with the weight of each."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(labels, [-1]), outputs)
        return StepResult({"loss": LossTerm.of(losses, weights)}, outputs)

    def preprocess(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """A batch of texts with masks as features, and their words as ids, in the graph."""
        features = self.tokenizer.with_masks(split_texts(x)[0], self.max_length)
        parts = (features,) if y is None else (features, self.preprocess_labels(y))
        return parts if sample_weight is None else (*parts, sample_weight)

    def labels_of(self, y: Any, x: Any, name: str) -> Any:
        """Returns the words or the ids for the masks of each text; see `masked_words`."""
        return mask_words.masked_words(y, x, self.tokenizer, name)

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Ids of the words for the masks, in the order of these; each must be one token."""
        if labels.dtype != tf.string:
            message = "an id for [MASK] is not one of the vocabulary"
            ids = graph_checks.whole_numbers(labels, message)
            known = (ids >= 0) & (ids < self.tokenizer.vocab_size)
            return tf.cast(graph_checks.checked(ids, known, labels, message), tf.int32)
        flat = tf.reshape(labels, [-1])
        ids = self.tokenizer.tokenize(flat)
        single = ids.row_lengths() == 1
        message = "a word for [MASK] is not one token"
        values = graph_checks.checked(ids.values, single, flat, message)
        return tf.reshape(values, tf.shape(labels))

    # Answers.

    def prepare(self, examples: Examples) -> Prepared:
        """Tokenizes texts.

        Raises:
            UserError: a text has no [MASK], or one beyond `max_length`; names its line.
        """
        self.check(examples)

        def tokenize(texts: list[str], _: None, max_length: int) -> Batch:
            return self.tokenizer.with_masks(texts, max_length)

        inputs = encode(tokenize, examples.texts, None, self.max_length)
        rows = np.repeat(np.arange(len(inputs)), inputs.lengths)
        kept = np.bincount(rows[inputs.token_ids == self.tokenizer.mask_id], minlength=len(inputs))
        for index, text in enumerate(examples.texts):
            if MASK not in text:
                raise UserError(f"{examples.where(index)}: has no {MASK}, expected at least one")
            if text.count(MASK) > kept[index]:
                raise UserError(
                    f"{examples.where(index)}: its {MASK} number {kept[index] + 1} is behind "
                    f"the first {self.max_length} tokens, which are all that is read"
                )
        return Prepared(examples, inputs, None)

    def run(self, prepared: Prepared, batch_size: int | None = None) -> list[Likeliest]:
        """The `top_k` likeliest tokens at the masks of each text."""
        return self._likeliest(prepared, batch_size, self.top_k)

    def _likeliest(self, prepared: Prepared, batch_size: int | None, top_k: int) -> list[Likeliest]:
        known = self.tokenizer.vocab_size
        found: list[Any] = [None] * len(prepared.inputs)
        for part, logits in self.batch_outputs(prepared.inputs, batch_size):
            # A table may be padded with rows that are no token's.
            scores, ids = tf.math.top_k(tf.nn.softmax(logits)[:, :known], min(top_k, known))
            masks = prepared.inputs.batch(part)["token_ids"] == self.tokenizer.mask_id
            ends = np.cumsum(masks.sum(axis=1))
            pieces = zip(np.split(ids.numpy(), ends), np.split(scores.numpy(), ends), strict=True)
            for index, piece in zip(part, pieces, strict=False):
                found[index] = Likeliest(*piece)
        return found

    def answers(self, prepared: Prepared, outputs: Sequence[Likeliest]) -> list[FilledText]:
        texts, pieces = prepared.examples.texts, self.tokenizer.vocabulary
        return [
            filled_text(
                text, [[pieces[i] for i in row] for row in found.ids], found.scores.tolist()
            )
            for text, found in zip(texts, outputs, strict=True)
        ]

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: None = None,
        *,
        top_k: int | None = None,
    ) -> list[FilledText]:
        """As `AnsweringTask.predict`, with `top_k` tokens for each mask if it is given."""
        prepared = self._prepared(x, verbose, steps, callbacks)
        chosen = self.top_k if top_k is None else _checked(top_k)
        size = input_checks.batch_size(batch_size)
        return self.answers(prepared, self._likeliest(prepared, size, chosen))

    # Saving.

    def options(self) -> dict[str, Any]:
        return {"top_k": self.top_k}

    def head_weights(self) -> dict[str, keras.Variable]:
        return self.masked_lm.named_weights()

    @classmethod
    def recognises(cls, checkpoint: checkpoints.Checkpoint) -> bool:
        named = checkpoint.architectures()
        known = {cls.architecture, "BertForPreTraining"}
        return bool(known.intersection(named)) and checkpoint.has_head(cls.head)

    @classmethod
    def without_head(cls, checkpoint: checkpoints.Checkpoint) -> None:
        if checkpoint.format != "size":
            raise UserError(f"{checkpoint.source}: has no head of a masked language model")


def _checked(top_k: Any) -> int:
    number = input_checks.whole_number(top_k)
    if number is None or number < 1:
        raise UserError(f"top_k must be at least 1, received {input_checks.shown(top_k)}")
    return number
