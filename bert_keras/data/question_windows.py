"""Questions with their contexts as rows of tokens: windows that slide over long contexts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bert_keras.data.encoded import EncodedExamples

Ints = npt.NDArray[np.int64]

# Texts tokenized at a time.
_CHUNK = 2048


class OffsetTokenizer(Protocol):
    """What is needed of a `BertTokenizer`."""

    @property
    def cls_id(self) -> int: ...

    @property
    def sep_id(self) -> int: ...

    def tokenize(self, texts: Any) -> Any: ...

    def offsets(self, texts: Any) -> Any: ...


@dataclasses.dataclass(frozen=True)
class ContextTokens:
    """Contexts, each text once, as tokens with their places in it.

    Attributes:
        ids: the tokens of all contexts, one after the other.
        starts, ends: where each begins and ends in its context, in characters.
        splits: where the tokens of each context begin and end.
    """

    ids: Ints
    starts: Ints
    ends: Ints
    splits: Ints


@dataclasses.dataclass(frozen=True)
class QuestionWindows:
    """N questions in W windows `[CLS] question [SEP] part of the context [SEP]`.

    Attributes:
        inputs: the windows, those of each question together.
        splits: `[N + 1]`, where the windows of each question begin and end.
        first: `[W]`, the place of a window's first context token in the tokens of its context.
        sizes: `[W]`, how many tokens of the context it shows.
        contexts: the tokens of the contexts.
        context_of: `[N]`, which of them is each question's.
    """

    inputs: EncodedExamples
    splits: Ints
    first: Ints
    sizes: Ints
    contexts: ContextTokens
    context_of: Ints

    @property
    def offsets(self) -> npt.NDArray[np.int32]:
        """The place of a window's first context token in the window, `[W]`."""
        return self.inputs.first_lengths

    def max_context(self, windows: Ints, width: int) -> npt.NDArray[np.bool_]:
        """Which places of windows hold a token of the context that has no better window.

        Of the windows that show a token, that is the best in which it stands farthest from the
        nearer end (a hundredth of the window's size counts too), the first of equals.

        Args:
            windows: which windows, `[w]`.
            width: places of each.

        Returns bool `[w, width]`.
        """
        sizes, first = self.sizes, self.first
        question = np.searchsorted(self.splits, windows, side="right") - 1
        inside = np.arange(width) - self.offsets[windows][:, None]
        best = (inside >= 0) & (inside < sizes[windows][:, None])
        places = first[windows][:, None] + inside
        own = _context_score(places, first[windows], sizes[windows])
        own_splits = self.splits[question], self.splits[question + 1]
        for distance in range(1, int(np.diff(self.splits).max(initial=1))):
            near = np.zeros(len(windows), bool)
            for other in (windows - distance, windows + distance):
                there = (other >= own_splits[0]) & (other < own_splits[1])
                other = np.where(there, other, windows)
                longer = np.maximum(sizes[other], sizes[windows])
                near |= there & (np.abs(first[other] - first[windows]) < longer)
                score = _context_score(places, first[other], sizes[other])
                better = (score > own) | ((score == own) & (other < windows)[:, None])
                best &= ~(there[:, None] & better)
            if not near.any():
                break
        return best

    def targets(
        self, places: Sequence[tuple[int, int] | None]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Returns the positions of the first and the last token of answers.

        Args:
            places: where the answer of each question begins and ends in its context, in
                characters; None where it has none.

        Returns:
            int32 `[W, 2]`, both 0, [CLS], in a window without the whole answer; and bool `[N]`,
            whether the answer has tokens, True where there is none.
        """
        spans = np.full((len(places), 2), -1, np.int64)
        for index, place in enumerate(places):
            if place is not None:
                spans[index] = self._token_span(index, *place)
        has_tokens = np.array([place is None for place in places], bool) | (
            spans[:, 0] <= spans[:, 1]
        )
        spans[~has_tokens] = -1
        of_windows = np.repeat(spans, np.diff(self.splits), axis=0) - self.first[:, None]
        inside = (of_windows >= 0).all(axis=1) & (of_windows[:, 1] < self.sizes)
        positions = of_windows + self.offsets[:, None]
        return np.where(inside[:, None], positions, 0).astype(np.int32), has_tokens

    def _token_span(self, index: int, start: int, end: int) -> tuple[int, int]:
        """Returns the first and the last token of a question's context with a part in a span."""
        own = slice(*self.contexts.splits[[self.context_of[index], self.context_of[index] + 1]])
        first = int(np.searchsorted(self.contexts.ends[own], start, side="right"))
        return first, int(np.searchsorted(self.contexts.starts[own], end)) - 1


def _context_score(places: Ints, first: Ints, sizes: Ints) -> npt.NDArray[np.float64]:
    """How good a context windows give to tokens, `[w, width]`; below 0 where they lack them."""
    left = places - first[:, None]
    nearer = np.minimum(left, sizes[:, None] - 1 - left)
    return np.where(nearer < 0, -1.0, nearer + 0.01 * sizes[:, None])


def window_questions(
    tokenizer: OffsetTokenizer,
    questions: Sequence[str],
    contexts: Sequence[str],
    max_length: int = 384,
    doc_stride: int = 128,
    max_query_length: int = 64,
) -> QuestionWindows:
    """Tokenizes questions and contexts, each context once, and cuts windows as Google's BERT.

    Args:
        tokenizer: the tokenizer.
        questions, contexts: N texts each.
        max_length: tokens of a window, [CLS] and [SEP] counted.
        doc_stride: tokens of the context from the beginning of a window to that of the next.
        max_query_length: tokens of a question; what is longer is cut.

    Raises:
        ValueError: a window has no room, or the stride is not positive.
    """
    if max_length < 5 or doc_stride < 1 or max_query_length < 1:
        raise ValueError(
            f"max_length is {max_length}, doc_stride {doc_stride}, max_query_length "
            f"{max_query_length}; expected at least 5, 1 and 1"
        )
    query_ids, query_splits = _tokenize_questions(tokenizer, questions)
    tokens, context_of = _tokenize_contexts(tokenizer, contexts)
    queries = np.minimum(np.diff(query_splits), min(max_query_length, max_length - 4))
    totals = np.diff(tokens.splits)[context_of]
    rooms = max_length - 3 - queries
    steps = np.minimum(rooms, doc_stride)
    counts = 1 - np.minimum(rooms - totals, 0) // steps
    splits = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    owner = np.repeat(np.arange(len(counts)), counts)
    first = (np.arange(len(owner)) - splits[owner]) * steps[owner]
    sizes = np.minimum(rooms[owner], totals[owner] - first)
    frame = len(query_ids) + len(tokens.ids)
    one = np.ones_like(owner)
    values, row_splits = _gather_spans(
        np.concatenate([query_ids, tokens.ids, [tokenizer.cls_id, tokenizer.sep_id]]),
        starts=np.stack(
            [
                one * frame,
                query_splits[:-1][owner],
                one * (frame + 1),
                len(query_ids) + tokens.splits[context_of[owner]] + first,
                one * (frame + 1),
            ],
            axis=1,
        ),
        sizes=np.stack([one, queries[owner], one, sizes, one], axis=1),
    )
    inputs = EncodedExamples(
        values.astype(np.int32), row_splits, (queries[owner] + 2).astype(np.int32)
    )
    return QuestionWindows(inputs, splits, first, sizes, tokens, context_of)


def _tokenize_questions(tokenizer: OffsetTokenizer, texts: Sequence[str]) -> tuple[Ints, Ints]:
    """Ids of all texts, and where those of each begin and end."""
    parts = [_ragged(tokenizer.tokenize(chunk)) for chunk in _chunks(texts)]
    return _joined([values for values, _ in parts]), _splits([sizes for _, sizes in parts])


def _tokenize_contexts(
    tokenizer: OffsetTokenizer, texts: Sequence[str]
) -> tuple[ContextTokens, Ints]:
    """The tokens of the different texts, and which of these each text is."""
    numbers: dict[str, int] = {}
    context_of = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
    parts = [[_ragged(part) for part in tokenizer.offsets(chunk)] for chunk in _chunks([*numbers])]
    ids, starts, ends = (_joined([part[column][0] for part in parts]) for column in range(3))
    return ContextTokens(ids, starts, ends, _splits([part[0][1] for part in parts])), context_of


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    return [list(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)]


def _ragged(tensor: Any) -> tuple[Ints, Ints]:
    """The values of a ragged tensor and the sizes of its rows."""
    return tensor.values.numpy(), np.diff(tensor.row_splits.numpy())


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _splits(sizes: list[Ints]) -> Ints:
    return np.concatenate([[0], np.cumsum(_joined(sizes))]).astype(np.int64)


def _gather_spans(values: Ints, starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Rows made of spans of `values`, `[R, spans]`: the rows on end, and where each begins."""
    flat = sizes.ravel()
    ends = np.cumsum(flat)
    places = np.repeat(starts.ravel() - (ends - flat), flat) + np.arange(
        ends[-1] if len(ends) else 0
    )
    return values[places], np.concatenate([[0], np.cumsum(sizes.sum(axis=1))]).astype(np.int64)
