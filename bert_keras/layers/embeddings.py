"""Word, position and segment embeddings (Devlin et al. 2018, section 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from bert_keras.config import BertConfig
from bert_keras.layers import kernels
from bert_keras.layers.basic import BertLayer, LayerNorm, truncated_normal
from bert_keras.layers.kernels import Tensor


class BertEmbeddings(BertLayer):
    """Sum of three tables, then layer normalisation, then dropout.

    Call arguments:
        token_ids, segment_ids: int `[batch, length]`.
        position_ids: int `[batch, length]`, or None for 0, 1, 2, … in each row.
        seed: int32 `[2]` for dropout, or None.
        predicts: see `TokenLayout`.

    Returns rows, `[batch * length, hidden]`, in the compute dtype.

    Attributes:
        words_in_training: the table that training steps read and change instead of
            `word_embeddings`, or None; see `train_words`.
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.layer_norm = LayerNorm(
            config.layer_norm_eps, name="layer_norm", dtype=self.dtype_policy
        )
        self.words_in_training: Any = None
        self._word_ids: Any = None

    def build(self, input_shape: Any = None) -> None:
        config = self.config

        def table(name: str, size: int) -> Any:
            return self.add_weight(
                name=name,
                shape=(size, config.hidden_size),
                initializer=truncated_normal(config.initializer_range, f"{self.path}/{name}"),
            )

        self.word_embeddings = table("word_embeddings", config.vocab_size)
        self.position_embeddings = table("position_embeddings", config.max_position_embeddings)
        self.segment_embeddings = table("segment_embeddings", config.type_vocab_size)
        self.layer_norm.build(config.hidden_size)

    def train_words(self, word_ids: np.ndarray) -> None:
        """Puts the embeddings of some words into a table of their own, to be trained in place of
        the whole: until `end_training_words`, training steps may meet no other word.

        A step reads a few hundred rows, but its optimizer passes over all that is trained, and
        most of a vocabulary does not occur in the data that a model is fine-tuned on.

        Args:
            word_ids: int `[words]`, each once.
        """
        table = self.word_embeddings
        self._tracker.unlock()
        with self._open_name_scope():
            self.words_in_training = self.add_weight(
                name="words_in_training",
                shape=(len(word_ids), self.config.hidden_size),
                initializer="zeros",
            )
        self._tracker.lock()
        self.words_in_training.assign(kernels.gather_rows(table.value, word_ids))
        table.trainable = False
        self._word_ids = np.asarray(word_ids)

    def write_back_words(self, factor: float) -> None:
        """Brings `word_embeddings` up to date: the rows in training as they are now, the others
        multiplied by `factor`, which is what weight decay left of them since the last time."""
        table = ops.convert_to_numpy(self.word_embeddings.value) * np.float32(factor)
        table[self._word_ids] = ops.convert_to_numpy(self.words_in_training.value)
        self.word_embeddings.assign(table)

    def end_training_words(self) -> None:
        """Trains `word_embeddings` again, which must be up to date."""
        self._untrack_variable(self.words_in_training)
        self.words_in_training = self._word_ids = None
        self.word_embeddings.trainable = True

    def _rows_in_training(self, token_ids: Tensor) -> Tensor:
        """Where in `words_in_training` the embeddings of tokens are."""
        count = len(self._word_ids)
        # Any other word is given a row that is not there: an error, not another's embedding.
        numbers = np.full(self.config.vocab_size, count, np.int32)
        numbers[self._word_ids] = np.arange(count)
        return kernels.gather_rows(numbers, token_ids)

    def call(
        self,
        token_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor | None,
        seed: Tensor | None,
        predicts: bool = False,
    ) -> Tensor:
        length = ops.shape(token_ids)[1]
        table = self.word_embeddings
        if seed is not None and self.words_in_training is not None:
            table, token_ids = self.words_in_training, self._rows_in_training(token_ids)
        # [batch, length, hidden]
        total = kernels.gather_rows(table, token_ids)
        total += kernels.gather_rows(self.segment_embeddings, segment_ids)
        if position_ids is None:
            kernels.check_at_most(length, self.config.max_position_embeddings, "sequence length")
            total += self.position_embeddings[None, :length]
        else:
            total += kernels.gather_rows(self.position_embeddings, position_ids)
        rows = ops.reshape(total, (-1, self.config.hidden_size))
        normed = self.layer_norm(rows, predicts=predicts, training=seed is not None)
        rows = ops.cast(normed, self.compute_dtype)
        return kernels.dropout(rows, self.config.hidden_dropout_prob, seed)
