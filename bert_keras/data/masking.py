"""Masked words: which tokens of a batch are predicted, and what stands in their place.

By token and by whole word as `create_pretraining_data.py` of google-research/bert does it, by
n-grams of whole words as TensorFlow Model Garden's does. All work on a whole batch `[b, L]`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bert_keras.data import random_bits
from bert_keras.data.random_bits import Bits
from bert_keras.data.word_spans import choose_spans

MASKINGS = ("token", "whole_word", "ngram")
_MASKED, _RANDOM = 0.8, 0.9

Ids = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class HasVocabulary(Protocol):
    """What is asked of a tokenizer."""

    @property
    def vocabulary(self) -> Sequence[str]: ...
    @property
    def cls_id(self) -> int: ...
    @property
    def sep_id(self) -> int: ...
    @property
    def mask_id(self) -> int: ...


@dataclasses.dataclass(frozen=True)
class VocabularyIds:
    """What examples need to know of a vocabulary of `size` pieces.

    `continues` is bool `[size]`: the piece goes on with a word ("##").
    """

    cls: int
    sep: int
    mask: int
    size: int
    continues: Flags

    @classmethod
    def of(cls, tokenizer: HasVocabulary) -> VocabularyIds:
        """Those of a tokenizer.

        Raises:
            UserError: the vocabulary has no [MASK].
        """
        pieces = tokenizer.vocabulary
        continues = np.array([piece.startswith("##") for piece in pieces])
        return cls(tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id, len(pieces), continues)


@dataclasses.dataclass(frozen=True)
class Masking:
    """How to mask: the settings of the same names in `ExampleSettings`."""

    masking: str
    mask_rate: float
    max_predictions: int
    max_ngram: int
    vocabulary: VocabularyIds

    def apply(
        self,
        token_ids: Ids,
        candidates: Flags,
        starts: Flags | None,
        lengths: npt.NDArray[np.integer],
        choice_keys: Bits,
        action_keys: Bits,
    ) -> dict[str, npt.NDArray]:
        """Masks a batch.

        Args:
            token_ids: int32 `[b, L]`.
            candidates: bool `[b, L]`, tokens that may be masked: all but [CLS], [SEP], padding.
            starts: bool `[b, L]`, candidates that start a word; not looked at by token.
            lengths: `[b]`, tokens of each row with [CLS] and [SEP].
            choice_keys, action_keys: uint64 `[b]`, the rows' random numbers.

        Returns:
            `token_ids` with the masks in place, and `mask_positions`, `mask_ids` int32 `[b, P]`
            and `mask_weights` float32 `[b, P]`, sorted by position and filled up with 0.
        """
        budget = self.budget(lengths)
        if self.masking == "token":
            chosen = _choose_tokens(candidates, budget, choice_keys)
            owners = None
        else:
            assert starts is not None
            sizes = self.max_ngram if self.masking == "ngram" else 1
            chosen, owners = choose_spans(candidates, starts, budget, sizes, choice_keys)
            if self.masking == "whole_word":
                owners = None  # every piece of a word is replaced, or not, for itself
        return self._replace(token_ids, chosen, owners, action_keys)

    def budget(self, lengths: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Most tokens to predict in rows of `lengths` tokens, [CLS] and [SEP] counted, `[b]`."""
        # np.rint rounds half to even, as Python's round does in the original.
        share = np.maximum(1, np.rint(lengths * self.mask_rate).astype(np.int64))
        return np.minimum(self.max_predictions, share)

    def _replace(
        self, token_ids: Ids, chosen: Flags, owners: Ids | None, action_keys: Bits
    ) -> dict[str, npt.NDArray]:
        """80 % become [MASK], 10 % any piece of the vocabulary, 10 % stay.

        `owners` is `[b, L]`, the position whose draw decides for a token; its own if None.
        """
        rows, positions = np.nonzero(chosen)
        counts = chosen.sum(axis=1)
        slots = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        deciding = positions if owners is None else owners[rows, positions]
        keys = action_keys[rows]
        action = random_bits.uniform(random_bits.bits(keys, 0, deciding))
        piece = random_bits.below(random_bits.bits(keys, 1, positions), self.vocabulary.size)
        original = token_ids[rows, positions]
        masked = token_ids.copy()
        masked[rows, positions] = np.where(
            action < _MASKED, self.vocabulary.mask, np.where(action < _RANDOM, piece, original)
        )
        shape = (len(token_ids), self.max_predictions)
        mask_positions, mask_ids = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        mask_weights = np.zeros(shape, np.float32)
        mask_positions[rows, slots], mask_ids[rows, slots] = positions, original
        mask_weights[rows, slots] = 1
        return {
            "token_ids": masked,
            "mask_positions": mask_positions,
            "mask_ids": mask_ids,
            "mask_weights": mask_weights,
        }


def _choose_tokens(candidates: Flags, budget: npt.NDArray[np.int64], keys: Bits) -> Flags:
    """As many random candidates of each row as its budget, or all if there are fewer."""
    order = random_bits.distinct(keys, candidates)
    budget = np.minimum(budget, candidates.sum(axis=1))
    last = np.sort(order, axis=1)[np.arange(len(order)), np.maximum(budget - 1, 0)]
    return candidates & (order <= last[:, None]) & (budget > 0)[:, None]
