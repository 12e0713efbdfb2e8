"""The endless stream of examples as batches, prepared ahead by threads."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bert_keras.data.pretraining_examples import (
    START,
    Batch,
    ExampleSource,
    Position,
    WindowExamples,
)
from bert_keras.errors import UserError

# Elements in preparation for each thread.
_AHEAD = 2


class _Part(NamedTuple):
    """The examples `begin` … `end - 1` of a window."""

    examples: WindowExamples
    epoch: int
    window: int
    begin: int
    end: int


def batches(
    source: ExampleSource,
    batch_size: int,
    position: Position,
    shards: Sequence[tuple[int, int]],
    reader_threads: int,
) -> Iterator[Batch]:
    """For each global batch, an element for each of `shards`, without end.

    Only the rows of the shards are made. What comes out does not depend on `reader_threads`.
    Closing the iterator ends its threads.

    Raises:
        UserError: the source cannot be read, or has no examples.
    """
    preparing = concurrent.futures.ThreadPoolExecutor(1, "prepare-window")
    readers = concurrent.futures.ThreadPoolExecutor(reader_threads, "make-examples")
    pending: collections.deque[concurrent.futures.Future[Batch]] = collections.deque()
    try:
        for parts, following in _global_batches(source, batch_size, position, preparing):
            for begin, end in shards:
                pending.append(readers.submit(_element, _cut(parts, begin, end), following))
                if len(pending) > _AHEAD * reader_threads:
                    yield pending.popleft().result()
    finally:
        preparing.shutdown(wait=False, cancel_futures=True)
        readers.shutdown(wait=False, cancel_futures=True)


def first_batches(source: ExampleSource, batch_size: int, examples: int) -> Iterator[Batch]:
    """The first examples of the first epoch, fewer if there are fewer.

    A last batch that is not full repeats an example with all weights 0.
    """
    held: list[_Part] = []
    count = 0
    for number in range(source.windows()):
        window = source.window(0, number)
        begin = 0
        while begin < len(window) and count < examples:
            room = min(batch_size - _rows(held), examples - count)
            end = min(len(window), begin + room)
            held.append(_Part(window, 0, number, begin, end))
            count += end - begin
            begin = end
            if _rows(held) == batch_size:
                yield _element(held, START)
                held = []
        if count == examples:
            break
    if held:
        yield _fill(_element(held, START), batch_size)


def _rows(parts: Sequence[_Part]) -> int:
    return sum(part.end - part.begin for part in parts)


def _fill(batch: Batch, batch_size: int) -> Batch:
    """Repeats the last row, without weight, up to `batch_size`."""
    count = len(batch["token_ids"])
    rows = np.minimum(np.arange(batch_size), count - 1)
    filled = {
        name: values if name == "next_position" else values[rows] for name, values in batch.items()
    }
    for name in ("mask_weights", "next_sentence_weights"):
        if name in filled:
            filled[name][count:] = 0
    return filled


def _global_batches(
    source: ExampleSource,
    batch_size: int,
    position: Position,
    preparing: concurrent.futures.Executor,
) -> Iterator[tuple[list[_Part], Position]]:
    """What each global batch is made of, and the position behind it."""
    windows = _Windows(source, position, preparing)
    index = position.index
    while True:
        parts = []
        missing = batch_size
        while missing:
            end = min(index + missing, len(windows.current))
            if end > index:
                part = _Part(windows.current, windows.epoch, windows.number, index, end)
                parts.append(part)
                missing -= end - index
                index = end
            if index >= len(windows.current):
                windows.advance()
                index = 0
        yield parts, Position(windows.epoch, windows.number, index)


class _Windows:
    """The window being read, while the one after it is prepared."""

    def __init__(
        self,
        source: ExampleSource,
        position: Position,
        preparing: concurrent.futures.Executor,
    ):
        self._source = source
        self._preparing = preparing
        self.epoch, self.number = position.epoch, position.window
        self._empty = 0
        self.current: WindowExamples = source.window(self.epoch, self.number)
        self._next = self._prepare()

    def _following(self) -> tuple[int, int]:
        if self.number + 1 < self._source.windows():
            return self.epoch, self.number + 1
        return self.epoch + 1, 0

    def _prepare(self) -> concurrent.futures.Future[WindowExamples]:
        return self._preparing.submit(self._source.window, *self._following())

    def advance(self) -> None:
        """Goes on to the next window."""
        self._empty = 0 if len(self.current) else self._empty + 1
        if self._empty == self._source.windows():
            raise UserError("no examples in a whole epoch, expected at least one")
        self.epoch, self.number = self._following()
        self.current = self._next.result()
        self._next = self._prepare()


def _cut(parts: Sequence[_Part], begin: int, end: int) -> list[_Part]:
    """The rows `begin` … `end - 1` of a global batch."""
    cut, row = [], 0
    for part in parts:
        first = max(begin - row, 0) + part.begin
        last = min(end - row, part.end - part.begin) + part.begin
        if last > first:
            cut.append(part._replace(begin=first, end=last))
        row += part.end - part.begin
    return cut


def _element(parts: Sequence[_Part], following: Position) -> Batch:
    """The examples of some parts as one batch."""
    made = []
    for part in parts:
        indices = np.arange(part.begin, part.end)
        names = np.empty((len(indices), 3), np.int32)
        names[:, 0], names[:, 1], names[:, 2] = part.epoch, part.window, indices
        made.append({**part.examples.batch(indices), "example_ids": names})
    element = {name: np.concatenate([each[name] for each in made]) for name in made[0]}
    return {**element, "next_position": np.array(following, np.int32)}
