"""Which sentences make which pair: BERT's next-sentence examples, planned for a whole window.

The algorithm is the one of Devlin et al. 2018 as their `create_pretraining_data.py` has it. There
it walks through one document at a time; here one example of every section of the window is planned
at each step, so that NumPy does the work. A plan holds places, no tokens.
"""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bert_keras.data import random_bits
from bert_keras.data.window import Window

Ints: TypeAlias = npt.NDArray[np.int64]

# What is drawn for one example, each from bits of its own.
_SPLIT, _RANDOM_NEXT, _OTHER_SECTION, _OTHER_SENTENCE = range(4)
_DRAWS = np.arange(4)[:, None]


@dataclasses.dataclass(frozen=True)
class SentencePairs:
    """N planned examples; places and lengths count tokens of the window.

    Attributes:
        first_starts, first_lengths: int64 `[N]`, the tokens of segment A.
        second_starts, second_lengths: int64 `[N]`, the tokens of segment B.
        random_next: bool `[N]`, whether B comes from another document.
    """

    first_starts: Ints
    first_lengths: Ints
    second_starts: Ints
    second_lengths: Ints
    random_next: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.random_next)

    def take(self, indices: npt.NDArray[np.integer]) -> SentencePairs:
        """The examples at `indices`, in that order."""
        return SentencePairs(
            *(getattr(self, field.name)[indices] for field in dataclasses.fields(self))
        )


def plan_pairs(
    window: Window,
    max_tokens: int,
    short_probability: float,
    seed: int,
    epoch: int,
    number: int,
    sections: int | None = None,
) -> SentencePairs:
    """Plans the examples of every section of a window, each sentence used in its turn.

    Args:
        window: sentences of at least two documents.
        max_tokens: tokens of A and B together, without [CLS] and [SEP]; 2 or more.
        short_probability: share of the sections whose examples aim at a random length below that.
        seed, epoch, number: name the window's random numbers.
        sections: plan the first so many sections alone; the others only lend random sentences.

    Returns:
        The examples, in no useful order.
    """
    pair_key = random_bits.key(seed, random_bits.Purpose.PAIRS, epoch, number)
    walk = _Walk(window, max_tokens, short_probability, pair_key, sections)
    steps = []
    while len(walk.active):
        steps.append(walk.step())
    begin, middle, other, other_end, random_next = map(np.concatenate, zip(*steps, strict=True))
    offsets = window.sentences
    pairs = SentencePairs(
        offsets[begin],
        offsets[middle] - offsets[begin],
        offsets[other],
        offsets[other_end] - offsets[other],
        random_next,
    )
    truncation_key = random_bits.key(seed, random_bits.Purpose.TRUNCATION, epoch, number)
    return truncate(pairs, max_tokens, truncation_key)


class _Walk:
    """One place in each section, all moving on together."""

    def __init__(
        self,
        window: Window,
        max_tokens: int,
        short_probability: float,
        pair_key: np.uint64,
        sections: int | None,
    ):
        count = len(window.documents) if sections is None else sections
        self._offsets = window.sentences
        self._section_starts, self._section_ends = window.sections[:-1], window.sections[1:]
        self.active = np.arange(count)
        self._cursors = self._section_starts[:count].copy()
        self._keys = random_bits.bits(pair_key, self.active)
        self._step = 0
        self._targets = self._draw_targets(max_tokens, short_probability)
        # Sections in order of their document: those of another document than a section's own
        # are all but one run of this order.
        self._by_document = np.argsort(window.documents, kind="stable")
        in_order = window.documents[self._by_document]
        self._own_begin = np.searchsorted(in_order, window.documents, side="left")
        self._own_size = np.searchsorted(in_order, window.documents, side="right") - self._own_begin

    def _draw_targets(self, max_tokens: int, short_probability: float) -> Ints:
        is_short = random_bits.uniform(random_bits.bits(self._keys, 0, 0)) < short_probability
        short = 2 + random_bits.below(random_bits.bits(self._keys, 0, 1), max_tokens - 1)
        return np.where(is_short, short, max_tokens)

    def step(self) -> tuple[Ints, Ints, Ints, Ints, npt.NDArray[np.bool_]]:
        """The next example of each active section.

        Returns, for each: sentences where A starts, where A ends, where B starts, where B ends,
        and whether B is random.
        """
        self._step += 1
        active, begin = self.active, self._cursors[self.active]
        random = random_bits.bits(self._keys[active], self._step, _DRAWS)
        chunk_end = self._reach(begin, self._targets[active], self._section_ends[active])
        count = chunk_end - begin
        split = np.where(count == 1, 1, 1 + random_bits.below(random[_SPLIT], count - 1))
        middle = begin + split
        random_next = (count == 1) | (random_bits.uniform(random[_RANDOM_NEXT]) < 0.5)
        other_begin, other_end = self._other(active, begin, middle, random)
        # After a random B the chunk's own second part is put back: the walk goes on behind A.
        self._cursors[active] = np.where(random_next, middle, chunk_end)
        self.active = active[self._cursors[active] < self._section_ends[active]]
        return (
            begin,
            middle,
            np.where(random_next, other_begin, middle),
            np.where(random_next, other_end, chunk_end),
            random_next,
        )

    def _other(
        self, active: Ints, begin: Ints, middle: Ints, random: random_bits.Bits
    ) -> tuple[Ints, Ints]:
        """Sentences of another document, from a random one on, to fill up the target."""
        others = len(self._by_document) - self._own_size[active]
        place = random_bits.below(random[_OTHER_SECTION], others)
        place += np.where(place >= self._own_begin[active], self._own_size[active], 0)
        section = self._by_document[place]
        start, end = self._section_starts[section], self._section_ends[section]
        start = start + random_bits.below(random[_OTHER_SENTENCE], end - start)
        missing = self._targets[active] - (self._offsets[middle] - self._offsets[begin])
        return start, self._reach(start, np.maximum(missing, 1), end)

    def _reach(self, begin: Ints, tokens: Ints, end: Ints) -> Ints:
        """The sentence behind the one with which `tokens` are reached, `end` at the latest."""
        reached = np.searchsorted(self._offsets, self._offsets[begin] + tokens, side="left")
        return np.minimum(reached, end)


def truncate(pairs: SentencePairs, max_tokens: int, truncation_key: np.uint64) -> SentencePairs:
    """Cuts pairs to `max_tokens`: always a token of the longer segment, B where both are equal.

    Whether a token goes at the front or at the back is random for each, so the number that goes
    at the front is the number of heads of as many coins.
    """
    first, second = pairs.first_lengths, pairs.second_lengths
    too_long = first + second > max_tokens
    half = max_tokens - max_tokens // 2
    kept = np.where(too_long, np.minimum(first, np.maximum(max_tokens - second, half)), first)
    kept_second = np.where(too_long, max_tokens - kept, second)
    keys = random_bits.bits(truncation_key, np.arange(len(pairs))[:, None], np.arange(2))
    return SentencePairs(
        pairs.first_starts + random_bits.coins(keys[:, 0], first - kept),
        kept,
        pairs.second_starts + random_bits.coins(keys[:, 1], second - kept_second),
        kept_second,
        pairs.random_next,
    )
