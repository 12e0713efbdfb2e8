"""`bert-keras vocab`: a WordPiece vocabulary learned from text of any size."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

from absl import flags

from bert_keras.commands.progress import ByteProgress
from bert_keras.data import corpus_files, corpus_text
from bert_keras.data.corpus_files import CorpusFile
from bert_keras.errors import UserError
from bert_keras.tokenization.vocabulary_training import train_vocabulary, write_vocabulary

# Characters handed to the trainer at a time.
_BATCH_CHARACTERS = 1 << 16


class _CorpusText:
    """The text of a corpus, read anew each time it is gone through; the trainer does so twice."""

    def __init__(self, files: list[CorpusFile], documents: str, field: str, passes: int):
        self._files = files
        self._documents = documents
        self._field = field
        self._total = passes * sum(file.size for file in files)
        self._done = 0
        self.progress = ByteProgress("vocab")

    def __iter__(self) -> Iterator[str]:
        batch: list[str] = []
        room = _BATCH_CHARACTERS
        for piece in corpus_files.plan(self._files, self._documents):
            passages = corpus_text.read_piece(
                piece, self._documents, self._field, report=self._count
            )
            for text, _ in passages:
                batch.append(text)
                room -= len(text)
                if room <= 0:
                    yield _joined(batch)
                    batch, room = [], _BATCH_CHARACTERS
        yield _joined(batch)

    def _count(self, size: int) -> None:
        self._done += size
        self.progress(self._done, self._total)


def _joined(batch: list[str]) -> str:
    """Returns texts as one; lone surrogates, which JSON can name and UTF-8 cannot, are dropped."""
    return "\n".join(batch).encode("utf-8", "ignore").decode("utf-8")


def run(values: flags.FlagValues) -> int:
    """Learns a vocabulary of `--corpus`, writes `--output` and prints one line about it."""
    began = time.monotonic()
    output = pathlib.Path(values.output)
    if output.is_dir():
        raise UserError(f"--output={output}: is a folder, expected the name of a file")
    files = corpus_files.find_files(values.corpus)
    output.parent.mkdir(parents=True, exist_ok=True)
    text = _CorpusText(files, values.documents, values.text_field, passes=2)
    try:
        tokens = train_vocabulary(
            text, values.size, not values.cased, values.min_frequency, values.alphabet_size
        )
    finally:
        text.progress.end()
    write_vocabulary(output, tokens)
    size = sum(file.size for file in files) / 1e6
    seconds = time.monotonic() - began
    print(f"{output}: {len(tokens):,} pieces from {size:,.1f} MB of text, {seconds:.0f} s")
    return 0
