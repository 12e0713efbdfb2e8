"""Which real sentences the golden numbers were recorded on, and how to read them again.

A reference is `FILE:ROW` (row 0 is the first after the header) for the GLUE tables and
`FILE:ARTICLE/PARAGRAPH` for the contexts of SQuAD. The texts themselves are not in the
repository: references point into the folder `data` of the assets.
"""

from __future__ import annotations

import json
import pathlib

# Rows of SST-2: one with a single word piece, the shortest of the dev set, then every 26th.
_SST2 = ["sst2/train.tsv:37", *(f"sst2/dev.tsv:{row}" for row in (79, 601, 275))]
_SST2 += [f"sst2/dev.tsv:{row}" for row in range(0, 780, 26)]
_MRPC = [f"mrpc/dev.tsv:{row}" for row in range(5, 401, 33)]
_SQUAD = [f"squad/dev-v1.1.json:{article}/3" for article in range(0, 45, 3)]
_SQUAD += ["squad/dev-v1.1.json:10/23", "squad/dev-v1.1.json:12/13", "squad/dev-v1.1.json:10/5"]

REFERENCES: tuple[str, ...] = (*_SST2, *_MRPC, *_SQUAD)


def read_table(path: pathlib.Path) -> list[list[str]]:
    """The rows of a GLUE table without its header; quotation marks are ordinary characters."""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return [line.split("\t") for line in lines[1:] if line]


class Sources:
    """Reads the text of a reference, each file once.

    Args:
        data: the folder `data` of the assets.
    """

    def __init__(self, data: pathlib.Path) -> None:
        self._data = data
        self._files: dict[str, list] = {}

    def text(self, reference: str) -> tuple[str, str | None]:
        """The sentence of a reference, and its pair where the task has pairs."""
        file, _, place = reference.partition(":")
        if file.endswith(".json"):
            article, paragraph = map(int, place.split("/"))
            articles = self._load(file)
            return articles[article]["paragraphs"][paragraph]["context"], None
        row = self._load(file)[int(place)]
        return (row[3], row[4]) if file.startswith("mrpc/") else (row[0], None)

    def _load(self, file: str) -> list:
        if file not in self._files:
            path = self._data / file
            if file.endswith(".json"):
                self._files[file] = json.loads(path.read_text(encoding="utf-8"))["data"]
            else:
                self._files[file] = read_table(path)
        return self._files[file]
