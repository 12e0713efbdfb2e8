"""Pretraining examples made from the corpus store, each a pure function of seed and place."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from bert_keras.data import masking, random_bits
from bert_keras.data.example_rows import Rows, rows_of_pairs, rows_of_pieces
from bert_keras.data.packed_rows import PackedRows, plan_rows
from bert_keras.data.random_bits import Purpose
from bert_keras.data.sentence_pairs import SentencePairs, plan_pairs
from bert_keras.data.store import CorpusStore
from bert_keras.data.window import Window
from bert_keras.errors import UserError

OBJECTIVES = ("mlm+nsp", "mlm")
# [CLS], [SEP], [SEP] and two tokens; and what random numbers are told apart by.
_SHORTEST, _LONGEST = 5, 65_536

Batch: TypeAlias = dict[str, npt.NDArray]


@dataclasses.dataclass(frozen=True)
class ExampleSettings:
    """What examples look like; the defaults are those of google-research/bert.

    Attributes:
        seq_length: tokens of a row, special ones counted.
        objective: "mlm+nsp", pairs of sentences; "mlm", rows packed full with running text.
        masking: "token", "whole_word", or "ngram": one to `max_ngram` whole words at a time.
        mask_rate: share of a row's tokens to predict.
        max_predictions: most tokens to predict in a row; by default the share of a full row,
            rounded up: 20 of 128 tokens, 77 of 512.
        short_seq_prob: share of the documents whose examples aim at a random, lesser length.
        max_ngram: words in a row, with masking "ngram".
        seed: of everything random.

    Raises:
        UserError: a value is out of range; the message names the flag.
    """

    seq_length: int = 128
    objective: str = "mlm+nsp"
    masking: str = "token"
    mask_rate: float = 0.15
    max_predictions: int | None = None
    short_seq_prob: float = 0.1
    max_ngram: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        checks = (
            ("seq_length", _SHORTEST <= self.seq_length <= _LONGEST, f"{_SHORTEST} to {_LONGEST}"),
            ("objective", self.objective in OBJECTIVES, " or ".join(OBJECTIVES)),
            ("masking", self.masking in masking.MASKINGS, " or ".join(masking.MASKINGS)),
            ("mask_rate", 0 < self.mask_rate < 1, "more than 0 and less than 1"),
            ("max_predictions", self._fits(), f"1 to {self.seq_length}, the sequence length"),
            ("short_seq_prob", 0 <= self.short_seq_prob <= 1, "0 to 1"),
            ("max_ngram", self.max_ngram >= 1, "1 or more"),
        )
        for name, is_valid, expected in checks:
            if not is_valid:
                raise UserError(f"--{name}={getattr(self, name)} is not valid, expected {expected}")

    def _fits(self) -> bool:
        return self.max_predictions is None or 1 <= self.max_predictions <= self.seq_length

    @property
    def predictions(self) -> int:
        """P, the width of `mask_positions`."""
        # Rounded first, as 20 × 0.15 is a little more than 3 in floating point.
        share = math.ceil(round(self.seq_length * self.mask_rate, 6))
        return share if self.max_predictions is None else self.max_predictions


class Position(NamedTuple):
    """A place in the endless stream of examples: that of the next one to be read."""

    epoch: int
    window: int
    index: int  # type: ignore[assignment]  # a tuple's method of that name is not wanted


START = Position(0, 0, 0)


class WindowExamples(Protocol):
    """The examples of one window, in their random order."""

    def __len__(self) -> int: ...

    def batch(self, indices: npt.NDArray[np.integer]) -> Batch:
        """The examples at `indices`, arrays with the batch as dimension 0."""


class ExampleSource(Protocol):
    """Where examples come from; every epoch has the same number of windows, from 0."""

    @property
    def seq_length(self) -> int:
        """L, tokens of a row."""

    @property
    def predictions(self) -> int:
        """P, predictions of a row."""

    @property
    def next_sentence(self) -> bool:
        """Whether examples are pairs with a next-sentence label."""

    @property
    def packed(self) -> bool:
        """Whether rows hold several pieces."""

    def windows(self) -> int:
        """Windows of an epoch."""

    def window(self, epoch: int, window: int) -> WindowExamples:
        """Prepares one window."""


class StoreExamples:
    """Examples from a corpus store, made anew in each epoch.

    An epoch visits the store's blocks in random order, some `window_tokens` tokens at a time. The
    examples of such a window are planned together and shuffled; a random next sentence comes from
    another document of the same window.

    Args:
        store: the tokenized corpus.
        settings: what examples look like.
        window_tokens: tokens of a window; its plan and tokens take about 4 bytes for each.

    Raises:
        UserError: the store is empty, or next sentences are asked of a single document.
    """

    def __init__(self, store: CorpusStore, settings: ExampleSettings, window_tokens: int = 2**24):
        self.store = store
        self.settings = settings
        self.vocabulary = masking.VocabularyIds.of(store.tokenizer())
        if not store.blocks:
            raise UserError(f"{store.directory}: holds no text")
        if self.next_sentence and store.manifest.documents < 2:
            raise UserError(
                f"{store.directory}: holds a single document, and a random next sentence has to "
                "come from another one; expected --objective=mlm, or `prepare` with --documents "
                "that tells documents apart"
            )
        wanted = max(1, round(store.manifest.tokens / window_tokens))
        self._windows = min(wanted, store.blocks)

    @property
    def seq_length(self) -> int:
        """L, tokens of a row."""
        return self.settings.seq_length

    @property
    def predictions(self) -> int:
        """P, predictions of a row."""
        return self.settings.predictions

    @property
    def next_sentence(self) -> bool:
        """Whether examples are pairs with a next-sentence label."""
        return self.settings.objective == "mlm+nsp"

    @property
    def packed(self) -> bool:
        """Whether rows hold several pieces."""
        return not self.next_sentence

    def windows(self) -> int:
        """Windows of an epoch."""
        return self._windows

    def window(self, epoch: int, window: int) -> StoreWindow:
        """Reads and plans one window, in some tenths of a second."""
        order_key = random_bits.key(self.settings.seed, Purpose.BLOCK_ORDER, epoch)
        order = random_bits.permutation(order_key, self.store.blocks)
        begin, end = (place * len(order) // self._windows for place in (window, window + 1))
        text = self.store.read_blocks(order[begin:end].tolist())
        if not self.next_sentence:
            return self._packed(text, epoch, window)
        sections = len(text.documents)
        if (text.documents == text.documents[0]).all():
            further = np.concatenate([order[end:], order[:begin]])
            lender = self._lender(further, int(text.documents[0]))
            text = self.store.read_blocks([*order[begin:end].tolist(), lender])
        return self._paired(text, sections, epoch, window)

    def _lender(self, blocks: npt.NDArray[np.int64], document: int) -> int:
        """The first of `blocks` with text of another document, for a window that has only one."""
        for block in blocks.tolist():
            if (self.store.read_blocks([block]).documents != document).any():
                return block
        raise UserError(f"{self.store.directory}: no block holds a second document")

    def _paired(self, text: Window, sections: int, epoch: int, number: int) -> StoreWindow:
        settings = self.settings
        room = settings.seq_length - 3
        pairs = plan_pairs(
            text, room, settings.short_seq_prob, settings.seed, epoch, number, sections
        )
        order = random_bits.permutation(self._order_key(epoch, number), len(pairs))
        return StoreWindow(self, text, pairs.take(order), epoch, number)

    def _packed(self, text: Window, epoch: int, number: int) -> StoreWindow:
        rows = plan_rows(text, self.settings.seq_length, self.settings.seed, epoch, number)
        order = random_bits.permutation(self._order_key(epoch, number), len(rows))
        return StoreWindow(self, text, rows.take(order), epoch, number)

    def _order_key(self, epoch: int, number: int) -> np.uint64:
        return random_bits.key(self.settings.seed, Purpose.EXAMPLE_ORDER, epoch, number)


class StoreWindow:
    """The examples of one window of a store.

    Attributes:
        text: the window's tokens.
        plan: which tokens make which example, in the order of the examples.
    """

    def __init__(
        self,
        source: StoreExamples,
        text: Window,
        plan: SentencePairs | PackedRows,
        epoch: int,
        number: int,
    ):
        settings = source.settings
        self.text = text
        self.plan = plan
        self._seq_length = settings.seq_length
        self._vocabulary = source.vocabulary
        self._masking = masking.Masking(
            settings.masking,
            settings.mask_rate,
            settings.predictions,
            settings.max_ngram,
            source.vocabulary,
        )
        self._choice_key, self._action_key = (
            random_bits.key(settings.seed, purpose, epoch, number)
            for purpose in (Purpose.MASK_CHOICE, Purpose.MASK_ACTION)
        )

    def __len__(self) -> int:
        return len(self.plan)

    def batch(self, indices: npt.NDArray[np.integer]) -> Batch:
        """The examples at `indices`: int32 (weights: float32) with the batch as dimension 0."""
        rows, labels = self._rows(indices)
        starts = None
        if self._masking.masking != "token":
            starts = rows.word_starts(self.text.words, self._vocabulary)
        masked = self._masking.apply(
            rows.features["token_ids"],
            rows.candidates,
            starts,
            rows.lengths,
            random_bits.bits(self._choice_key, indices),
            random_bits.bits(self._action_key, indices),
        )
        return {**rows.features, **masked, **labels}

    def _rows(self, indices: npt.NDArray[np.integer]) -> tuple[Rows, Batch]:
        if isinstance(self.plan, PackedRows):
            tokens = self.text.tokens
            rows = rows_of_pieces(self.plan, indices, tokens, self._seq_length, self._vocabulary)
            return rows, {}
        pairs = self.plan.take(indices)
        rows = rows_of_pairs(pairs, self.text.tokens, self._seq_length, self._vocabulary)
        labels = pairs.random_next.astype(np.int32)
        weights = np.ones(len(labels), np.float32)
        return rows, {"next_sentence_labels": labels, "next_sentence_weights": weights}
