"""A real corpus from the machine itself: the docstrings of the installed packages."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
import pathlib
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from bert_keras.data.files import write_json_lines
from bert_keras.demo.docstrings import Documented, read_functions
from bert_keras.errors import UserError

# Tests and generated code document nothing; vendored packages are there a second time.
_SKIPPED_FOLDERS = frozenset({"tests", "test", "testing", "_vendor", "vendored", "bert_keras"})
_SKIPPED_FILES = re.compile(r"(^test_.*|.*_(test|pb2|pb2_grpc))\.py$")
_LARGEST_FILE = 500_000
_MOST_SOURCE = 150_000_000
# Below this many files, starting processes takes longer than reading.
_WORTH_PROCESSES = 200

ReportProgress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Documented functions, sorted by source file, no docstring twice.

    `files` is the number of source files read, `found` the number of documented functions
    before duplicates were dropped.
    """

    functions: list[Documented]
    files: int
    found: int

    def paragraphs(self) -> list[str]:
        """All prose, one string a paragraph."""
        return [paragraph for function in self.functions for paragraph in function.paragraphs]

    def megabytes(self) -> float:
        """Size of the prose in UTF-8, in MB (10^6 bytes)."""
        return sum(len(text.encode()) for text in self.paragraphs()) / 1e6


def package_roots() -> list[pathlib.Path]:
    """The folders in which this interpreter has its packages.

    Raises:
        UserError: there are none.
    """
    found = [pathlib.Path(entry) for entry in sys.path]
    roots = sorted({p for p in found if p.name in ("site-packages", "dist-packages")})
    roots = [root for root in roots if root.is_dir()]
    if not roots:
        raise UserError("demo: no site-packages folder on Python's path to gather docstrings from")
    return roots


def list_sources(root: pathlib.Path, limit: int = _MOST_SOURCE) -> list[str]:
    """Python files under a folder, as sorted relative paths; at most `limit` bytes in all.

    Over the limit, a selection by checksum of the path keeps every package represented, and
    is the same each time.
    """
    sizes: dict[str, int] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if _is_package_folder(name)]
        for name in files:
            if name.endswith(".py") and not _SKIPPED_FILES.match(name):
                path = pathlib.Path(folder, name)
                size = path.stat().st_size if path.is_file() else 0
                if 0 < size <= _LARGEST_FILE:
                    sizes[path.relative_to(root).as_posix()] = size
    chosen, total = [], 0
    for source in sorted(sizes, key=lambda s: (zlib.crc32(s.encode("utf-8", "replace")), s)):
        total += sizes[source]
        if total > limit:
            break
        chosen.append(source)
    return sorted(chosen)


def gather(
    roots: Iterable[pathlib.Path], report: ReportProgress = lambda done, total: None
) -> Corpus:
    """Reads the documented functions under the roots, with all processors.

    Args:
        roots: folders with packages.
        report: called with the number of files read and their total, now and then.

    Raises:
        UserError: not one documented function was found.
    """
    jobs = [(str(root), source) for root in roots for source in list_sources(root)]
    found: list[Documented] = []
    for done, functions in enumerate(_read_all(jobs), start=1):
        found += functions
        if done % 100 == 0 or done == len(jobs):
            report(done, len(jobs))
    if not found:
        raise UserError("demo: found no documented function in the installed packages")
    return Corpus(without_duplicates(found), len(jobs), len(found))


def without_duplicates(functions: Iterable[Documented]) -> list[Documented]:
    """The functions whose prose, compared by its letters alone, was not there before."""
    seen: set[str] = set()
    kept = []
    for function in functions:
        letters = re.sub(r"[^a-z]", "", " ".join(function.paragraphs).lower())
        if letters not in seen:
            seen.add(letters)
            kept.append(function)
    return kept


def save(corpus: Corpus, path: pathlib.Path) -> None:
    """Writes one function a line, as JSON."""
    write_json_lines(path, (dataclasses.asdict(function) for function in corpus.functions))


def load(path: pathlib.Path) -> list[Documented]:
    """The functions of a file that `save` wrote."""
    functions = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            row["arguments"] = tuple(row["arguments"])
            row["paragraphs"] = tuple(row["paragraphs"])
            functions.append(Documented(**row))
    return functions


def _is_package_folder(name: str) -> bool:
    return (
        name not in _SKIPPED_FOLDERS
        and not name.startswith((".", "__pycache__"))
        and not name.endswith((".dist-info", ".egg-info", ".libs"))
    )


def _read_all(jobs: Sequence[tuple[str, str]]) -> Iterator[list[Documented]]:
    """The functions of each file, in the order of the files."""
    if len(jobs) < _WORTH_PROCESSES:
        for root, source in jobs:
            yield read_functions(root, source)
        return
    # Forking a process that may have TensorFlow's threads could hang; these start afresh.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        yield from pool.map(read_functions, *zip(*jobs, strict=True), chunksize=50)
