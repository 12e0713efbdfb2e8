"""One piece of a corpus to one shard of the store: read, cut into sentences, tokenize, write."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from bert_keras.data import corpus_files, corpus_text, segmenter, sentences, store_writer
from bert_keras.data.corpus_files import Opener, Piece
from bert_keras.data.manifest import Shard
from bert_keras.data.store_writer import ShardWriter
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer

# Characters tokenized in one call.
_BATCH_CHARACTERS = 1 << 18

Report = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class PrepareSettings:
    """How text becomes sentences.

    Attributes:
        documents: "file", "blank_line", "line" or "jsonl".
        sentences: "english", "chinese", "multilingual" or "line".
        segmenter: "none", or "jieba" for marks of words.
        text_field: the key of the text in JSON lines.
    """

    documents: str = "file"
    sentences: str = "english"
    segmenter: str = "none"
    text_field: str = "text"

    def __post_init__(self) -> None:
        for name, known in (
            ("documents", corpus_files.DOCUMENTS),
            ("sentences", sentences.KINDS),
            ("segmenter", segmenter.KINDS),
        ):
            if getattr(self, name) not in known:
                raise UserError(f"{name}={getattr(self, name)!r}, expected {' or '.join(known)}")


class PieceWriter:
    """Makes shards of pieces; one serves any number of threads.

    Args:
        directory: the store, which is there.
        tokenizer: for all sentences.
        settings: how to read and cut.
        opener: how to open a file of the corpus.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        tokenizer: BertTokenizer,
        settings: PrepareSettings,
        opener: Opener = corpus_files.open_local,
    ):
        self._directory = directory
        self._tokenizer = tokenizer
        self._settings = settings
        self._opener = opener
        self._dtype = store_writer.token_dtype(tokenizer.vocab_size)
        self._split = sentences.splitter(settings.sentences)
        self._segmenter = segmenter.Segmenter(tokenizer) if settings.segmenter == "jieba" else None

    def write(self, number: int, piece: Piece, report: Report = lambda size: None) -> Shard:
        """Writes the shard of a piece; `report` is called with bytes of text as they are read."""
        settings = self._settings
        passages = corpus_text.read_piece(
            piece,
            settings.documents,
            settings.text_field,
            keep_lines=settings.sentences == "line",
            report=report,
            opener=self._opener,
        )
        marked = self._segmenter is not None
        with ShardWriter(self._directory, f"{number:05d}", self._dtype, marked) as writer:
            for batch, document_rows in self._batches(passages):
                writer.add(*self._tokenize(batch, document_rows))
            return writer.finish(piece)

    def _batches(
        self, passages: Iterator[corpus_text.Passage]
    ) -> Iterator[tuple[list[str], list[int]]]:
        """Sentences enough for a call of the tokenizer, and the rows that begin a document."""
        batch: list[str] = []
        rows: list[int] = []
        room = _BATCH_CHARACTERS
        for text, begins_document in passages:
            if begins_document:
                rows.append(len(batch))
            batch += self._split(text)
            room -= len(text)
            if room <= 0:
                yield from _parts(batch, rows, 1 - room // _BATCH_CHARACTERS)
                batch, rows, room = [], [], _BATCH_CHARACTERS
        yield batch, rows

    def _tokenize(
        self, batch: list[str], document_rows: list[int]
    ) -> tuple[np.ndarray, np.ndarray, list[int], np.ndarray | None]:
        """The arguments of `ShardWriter.add`."""
        words = None
        if not batch:
            nothing = np.zeros(0, np.int32)
            return nothing, np.zeros(1, np.int64), document_rows, words
        if self._segmenter is None:
            ids = self._tokenizer.tokenize(batch)
        else:
            ids, words = self._segmenter(batch)
        return ids.flat_values.numpy(), ids.row_splits.numpy(), document_rows, words


def _parts(batch: list[str], rows: list[int], parts: int) -> Iterator[tuple[list[str], list[int]]]:
    """Cuts a batch that one long document made too large."""
    step = max(1, -(-len(batch) // parts))
    for low in range(0, max(len(batch), 1), step):
        high = low + step
        is_last = high >= len(batch)
        here = [row - low for row in rows if low <= row and (row < high or is_last)]
        yield batch[low:high], here
