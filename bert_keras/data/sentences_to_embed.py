"""Texts to embed, alone, in pairs with or without a score, or in triplets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bert_keras.data.columns import (
    Columns,
    choose_columns,
    first_column,
    label_column_of,
    named_column,
)
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import as_number, as_text, read_columns, read_table
from bert_keras.data.tables import Table, listed
from bert_keras.errors import UserError

_GROUP = ("anchor", "positive", "negative")
_NAMES = {1: ("text",), 2: ("text", "text_pair"), 3: _GROUP}
_KINDS = {1: "single texts", 2: "pairs of texts", 3: "triplets of texts"}


@dataclasses.dataclass(frozen=True)
class SentencesToEmbed:
    """Texts in memory, in the order of the source.

    Attributes:
        columns: N texts; or N first and N second texts that are alike; or N anchors, N texts
            that are like them and N that are not.
        scores: N numbers, how alike the two texts of a pair are, or None.
        source: the file or the TFDS name, as messages name it.
        lines: N line numbers (of a TFDS split: example numbers), from 1.
    """

    columns: tuple[list[str], ...]
    scores: list[float] | None
    source: str
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def texts(self) -> list[str]:
        """The texts, or the first text of each pair or triplet."""
        return self.columns[0]

    @property
    def group(self) -> int:
        """Texts of an example: 1, 2 or 3."""
        return len(self.columns)

    def kind(self) -> str:
        """What the examples are, in messages."""
        return _KINDS[self.group] + (" with scores" if self.scores is not None else "")

    def where(self, index: int) -> str:
        """`source:line` of one example, to begin a message with."""
        return f"{self.source}:{self.lines[index]}"

    def row(self, index: int) -> dict[str, Any]:
        """One example as JSON: `text`, `text_pair` and `label` (the score); a triplet's
        `anchor`, `positive` and `negative`."""
        names = zip(_NAMES[self.group], self.columns, strict=True)
        row: dict[str, Any] = {name: column[index] for name, column in names}
        return row if self.scores is None else {**row, "label": self.scores[index]}

    def part(self, start: int, stop: int) -> SentencesToEmbed:
        """The examples from `start` to before `stop`."""
        inside = slice(start, stop)
        return dataclasses.replace(
            self,
            columns=tuple(column[inside] for column in self.columns),
            scores=None if self.scores is None else self.scores[inside],
            lines=self.lines[inside],
        )

    def max_score(self) -> float:
        """The top of the scale of the scores: 1, or 5 as STS-B has it.

        Raises:
            UserError: there are scores above 5, whose scale is not known.
        """
        highest = max(self.scores or [0.0])
        if highest > 5:
            raise UserError(
                f"{self.source}: the highest score is {highest:g}, give --max_score, the most "
                "that a pair can have"
            )
        return 5.0 if highest > 1 else 1.0

    def scaled_scores(self, max_score: float) -> list[float]:
        """The scores over `max_score`, from 0 to 1.

        Raises:
            UserError: one is below 0 or above `max_score`; names its file and line.
        """
        scores = self.scores or []
        for index, score in enumerate(scores):
            if not 0 <= score <= max_score:
                raise UserError(
                    f"{self.where(index)}: the score is {score:g}, expected 0 to {max_score:g}"
                )
        return [score / max_score for score in scores]


def sentences_of(
    columns: Sequence[Sequence[str]], scores: Sequence[float] | None = None
) -> SentencesToEmbed:
    """Examples from lists: one of texts, two of pairs, or three of triplets.

    Raises:
        ValueError: the lists differ in length, or there are more than three.
    """
    sizes = [len(column) for column in columns]
    if not 1 <= len(sizes) <= 3 or len(set(sizes)) > 1:
        raise ValueError(f"expected one to three lists of as many texts, received {sizes}")
    lines = list(range(1, sizes[0] + 1))
    numbers = None if scores is None else [float(score) for score in scores]
    return SentencesToEmbed(tuple(map(list, columns)), numbers, "the inputs", lines)


def read_sentences(source: DataSource, labelled: bool = True) -> SentencesToEmbed:
    """Reads a `.tsv`, `.csv` or `.jsonl` file (or `.gz` of one) or a TFDS split.

    Columns `anchor`, `positive` and `negative` are triplets, the first two alone pairs. Other
    pairs go by the names that `read_examples` knows; they have scores where there is a label
    column, by its usual name or by `source.label_column`.

    Args:
        source: the file and its columns; a text column alone means single texts.
        labelled: whether the texts are to learn or to score from: pairs or triplets then; if
            not, scores are not read.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    return sentences_of_table(read_table(source, labelled), source, labelled)


def sentences_of_table(table: Table, source: DataSource, labelled: bool = True) -> SentencesToEmbed:
    """Returns the texts of a table; `source` says which columns, and what of bad rows."""
    by_name = source.text_column is None and source.pair_column is None
    group = [first_column(table, (name,)) for name in _GROUP]
    if by_name and None not in group[:2]:
        names = tuple(name for name in group if name is not None)
    else:
        chosen = choose_columns(table, source.text_column, source.pair_column, None, False)
        names = _names(table, chosen, labelled)
    converters: dict[str, Callable[[Any], Any]] = dict.fromkeys(names, as_text)
    label = _label_column(table, source.label_column) if labelled and len(names) == 2 else None
    if label is not None:
        converters[label] = as_number
    values, lines = read_columns(table, converters, source.bad_rows)
    return SentencesToEmbed(
        columns=tuple(values[: len(names)]),
        scores=None if label is None else values[-1],
        source=table.source,
        lines=lines,
    )


def _names(table: Table, chosen: Columns, labelled: bool) -> tuple[str, ...]:
    if chosen.pair is not None:
        return chosen.text, chosen.pair
    if labelled:
        raise UserError(
            f"{table.header}: has single texts, expected pairs or triplets; the columns are "
            f"{listed(table.columns)}"
        )
    return (chosen.text,)


def _label_column(table: Table, given: str | None) -> str | None:
    return named_column(table, "label_column", given) or label_column_of(table)
