"""The same store as `prepare` writes, made by an Apache Beam pipeline on any number of machines.

Every worker makes shards of pieces on its own disk and copies them to the store; they are the
shards that `prepare` writes, to the byte. Paths with a scheme, such as `gs://bucket/books/*.txt`,
go through Beam's file systems; others are files that all workers see under the same name.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from bert_keras.data import claim, corpus_files, manifest, store_writer
from bert_keras.data.corpus_files import CorpusFile, Piece
from bert_keras.data.manifest import Manifest, Shard
from bert_keras.data.piece_writer import PieceWriter, PrepareSettings
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer

try:
    import apache_beam as beam
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError:
    raise UserError(
        "--beam_runner: Apache Beam is not installed, expected `pip install bert-keras[beam]`"
    ) from None


def prepare_with_beam(
    corpus: str,
    tokenizer: BertTokenizer,
    output_dir: str,
    settings: PrepareSettings,
    runner: str,
    options: Sequence[str] = (),
    piece_bytes: int = corpus_files.PIECE_BYTES,
) -> Manifest:
    """Makes a corpus store, or goes on with one; waits for the pipeline's end.

    Args:
        corpus, tokenizer, output_dir, settings, piece_bytes: as for `prepare.prepare`; paths may
            have a scheme that Beam knows.
        runner: Beam's name of it, such as "DirectRunner".
        options: of the pipeline, such as "project=NAME".

    Raises:
        UserError: bad input, or `output_dir` holds another store.
    """
    files = _find_files(corpus)
    described = claim.description(files, tokenizer, settings, piece_bytes)
    _check_store(output_dir, described)
    plan = corpus_files.plan(files, settings.documents, piece_bytes, _open)
    pieces = list(enumerate(plan))
    given = [option if option.startswith("--") else f"--{option}" for option in options]
    work = _WriteShards(
        output_dir, tokenizer.base_vocabulary, tokenizer.get_config(), dataclasses.asdict(settings)
    )
    with beam.Pipeline(runner=runner, options=PipelineOptions(given)) as pipeline:
        numbered = pipeline | "pieces" >> beam.Create(pieces) | beam.Reshuffle()
        numbered | "shards" >> beam.ParDo(work)  # noqa: B018  the pipeline keeps it
    shards = [_recorded(output_dir, number, piece) for number, piece in pieces]
    missing = [number for number, shard in enumerate(shards) if shard is None]
    if missing:
        raise UserError(f"--output_dir={output_dir}: shard {missing[0]:05d} is not there")
    return _finish(output_dir, tokenizer, [s for s in shards if s is not None], settings)


class _WriteShards(beam.DoFn):
    """Makes the shard of a piece, unless an earlier run has."""

    def __init__(
        self, output_dir: str, vocabulary: list[str], config: dict[str, Any], settings: dict
    ):
        self._output_dir = output_dir
        self._vocabulary = vocabulary
        self._config = config
        self._settings = settings

    def setup(self) -> None:
        """Builds the tokenizer, once for all pieces of a worker."""
        config = {**self._config, "vocabulary": self._vocabulary}
        self._tokenizer = BertTokenizer(**config)

    def process(self, element: tuple[int, Piece]) -> Iterator[int]:
        """Writes one shard and gives its number."""
        number, piece = element
        if _recorded(self._output_dir, number, piece) is None:
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                settings = PrepareSettings(**self._settings)
                shard = PieceWriter(folder, self._tokenizer, settings, _open).write(number, piece)
                for ending in (*shard.files, "json"):
                    _copy(folder / f"{shard.name}.{ending}", self._output_dir)
        yield number


def _find_files(patterns: str) -> list[CorpusFile]:
    if not _has_scheme(patterns):
        return corpus_files.find_files(patterns)
    found: dict[str, CorpusFile] = {}
    for pattern in filter(None, patterns.split(",")):
        match = FileSystems.match([pattern])[0].metadata_list
        if not match:
            raise UserError(f"--corpus={pattern}: matches no file")
        for file in match:
            modified = int((file.last_updated_in_seconds or 0) * 1e9)
            found[file.path] = CorpusFile(file.path, file.size_in_bytes, modified)
    return [found[path] for path in sorted(found)]


def _check_store(output_dir: str, described: dict[str, Any]) -> None:
    """Makes the folder this run's, or finds that it is."""
    if not _has_scheme(output_dir):
        with claim.Claim(pathlib.Path(output_dir), described):
            return
    path = FileSystems.join(output_dir, manifest.SETTINGS_FILE)
    if FileSystems.exists(path):
        claim.check_described(_read_text(path), described, output_dir)
    else:
        _write(path, io.BytesIO(json.dumps(described).encode()))


def _recorded(output_dir: str, number: int, piece: Piece) -> Shard | None:
    """The shard whose record says that it was made of this piece, if there is one."""
    path = FileSystems.join(output_dir, f"{number:05d}.json")
    if not FileSystems.exists(path):
        return None
    record = json.loads(_read_text(path))
    same = record["piece"] == [list(segment) for segment in piece]
    return Shard.from_json(record) if same else None


def _finish(
    output_dir: str, tokenizer: BertTokenizer, shards: list[Shard], settings: PrepareSettings
) -> Manifest:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stated = dataclasses.asdict(settings)
        written = store_writer.finish_store(folder, tokenizer, shards, stated)
        # The manifest last: with it the store is complete.
        names = sorted(path.name for path in folder.iterdir())
        for file in sorted(names, key=lambda file: file == manifest.FILE_NAME):
            _copy(folder / file, output_dir)
    return written


def _has_scheme(path: str) -> bool:
    return "://" in path


def _open(path: str) -> BinaryIO:
    if not _has_scheme(path):
        return corpus_files.open_local(path)
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _read_text(path: str) -> str:
    with _open(path) as file:
        return file.read().decode("utf-8")


def _copy(source: pathlib.Path, output_dir: str) -> None:
    """Copies a file so that it is there whole or not at all; object stores do so by themselves."""
    with open(source, "rb") as data:
        if _has_scheme(output_dir):
            _write(FileSystems.join(output_dir, source.name), data)
            return
        # Two workers may be given the same piece; each writes under a name of its own.
        partial = pathlib.Path(output_dir, f"{source.name}.{uuid.uuid4().hex}.partial")
        with open(partial, "wb") as file:
            shutil.copyfileobj(data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, partial.with_name(source.name))


def _write(path: str, data: BinaryIO) -> None:
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        shutil.copyfileobj(data, file)
