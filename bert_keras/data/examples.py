"""Labelled texts from any data source, checked row by row."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from absl import logging

from bert_keras.data import tables
from bert_keras.data.columns import Columns, choose_columns
from bert_keras.data.source import DataSource
from bert_keras.data.table_source import (
    as_label,
    as_text,
    read_columns,
    read_table,
    whole_labels,
)
from bert_keras.errors import UserError

Kind = TypeVar("Kind", bound="Examples")


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts with their labels, in memory, in the order of the source.

    Here an example has one label; `bert_keras.data.labelled_kinds` has the other kinds.

    Attributes:
        texts: N texts.
        pairs: N second texts, or None where an example is a single text.
        labels: N labels as written in the source, or None where they were not asked for.
        source: the file or the TFDS name, as messages name it.
        lines: N line numbers (of a TFDS split: example numbers), from 1.
        columns: the names of the columns that were read.
        classes: the labels that the source knows in an order of its own, as TFDS does.
    """

    texts: list[str]
    pairs: list[str] | None
    labels: list[Any] | None
    source: str
    lines: list[int]
    columns: Columns
    classes: Sequence[str] = ()

    # What a label is made of, and what it is called in `row`.
    convert: ClassVar[Callable[[Any], Any]] = staticmethod(as_label)
    label_name: ClassVar[str] = "label"

    @staticmethod
    def finish(labels: list[Any]) -> list[Any]:
        """Returns the labels of a whole source in one way of writing them."""
        return whole_labels(labels)

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, index: int) -> str:
        """`source:line` of one example, to begin a message with."""
        return f"{self.source}:{self.lines[index]}"

    def row(self, index: int) -> dict[str, Any]:
        """One example as JSON: `text`, `text_pair` of a pair, `label` of a labelled one."""
        row: dict[str, Any] = {"text": self.texts[index]}
        if self.pairs is not None:
            row["text_pair"] = self.pairs[index]
        return row if self.labels is None else {**row, self.label_name: self.labels[index]}

    def part(self: Kind, start: int, stop: int) -> Kind:
        """The examples from `start` to before `stop`."""
        inside = slice(start, stop)
        return dataclasses.replace(
            self,
            texts=self.texts[inside],
            pairs=None if self.pairs is None else self.pairs[inside],
            labels=None if self.labels is None else self.labels[inside],
            lines=self.lines[inside],
        )

    def kind(self) -> str:
        """What the examples are, in messages."""
        return "pairs of texts" if self.pairs is not None else "single texts"

    def label_set(self) -> list[str]:
        """The distinct labels in the source's own order, if it has one, or else sorted; as numbers
        where every one is a whole number.

        Raises:
            UserError: fewer than two labels occur, or there are none to look at.
        """
        distinct = set(self.labels or ())
        if len(distinct) < 2:
            raise UserError(
                f"{self.source}: received {tables.listed(sorted(distinct)) or 'no labels'} as "
                f"the only label, expected at least two different ones"
            )
        if distinct <= set(self.classes):
            return [label for label in self.classes if label in distinct]
        return sorted_labels(distinct)

    def unknown_labels(self, labels: Sequence[str]) -> list[str]:
        """Returns the distinct labels that are not among `labels`, sorted; warns of them.

        Raises:
            UserError: no example has one of `labels`.
        """
        known = set(labels)
        found = [set(self.labels_at(row)) for row in range(len(self))]
        unknown = set().union(*found) - known
        if not unknown:
            return []
        rows = [row for row, own in enumerate(found) if own & unknown]
        shown = tables.shorten(min(found[rows[0]] & unknown))
        message = (
            f"{self.where(rows[0])}: the label {shown!r} is not one of {tables.listed(labels)}"
        )
        if not any(own & known for own in found):
            raise UserError(f"{message}, and no other row has one of these")
        logging.warning("%s: this row and %d more count as wrong", message, len(rows) - 1)
        return sorted_labels(unknown)

    def labels_at(self, row: int) -> list[str]:
        """Returns the labels of one example."""
        return [] if self.labels is None else [self.labels[row]]

    def label_ids(self, labels: Sequence[str]) -> list[int]:
        """The index in `labels` of each example's label, N numbers.

        Raises:
            UserError: an example's label is not among them; names its file and line.
        """
        if self.labels is None:
            raise UserError(f"{self.source}: was read without labels")
        index = {label: position for position, label in enumerate(labels)}
        for row, label in enumerate(self.labels):
            if label not in index:
                raise UserError(
                    f"{self.where(row)}: unknown label {tables.shorten(label)!r}, expected one "
                    f"of {tables.listed(labels)}"
                )
        return [index[label] for label in self.labels]


def sorted_labels(labels: Iterable[str]) -> list[str]:
    """Distinct labels, sorted; as numbers where every one is a whole number."""
    distinct = set(labels)
    if all(label.removeprefix("-").isdecimal() for label in distinct):
        return sorted(distinct, key=lambda label: (int(label), label))
    return sorted(distinct)


def examples_of_texts(texts: list[str], pairs: list[str] | None = None) -> Examples:
    """Unlabelled examples from lists of texts.

    Raises:
        ValueError: the lists differ in length.
    """
    if pairs is not None and len(pairs) != len(texts):
        raise ValueError(f"{len(texts)} texts but {len(pairs)} second texts")
    columns = Columns("text", None if pairs is None else "text_pair", None)
    return Examples(texts, pairs, None, "the inputs", list(range(1, len(texts) + 1)), columns)


def read_examples(
    spec: str | pathlib.Path,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    tfds_dir: str | pathlib.Path | None = None,
    labelled: bool = True,
) -> Examples:
    """Reads a file that `read_table` knows, or `tfds:NAME/CONFIG:SPLIT`.

    Columns go by their usual names (text, sentence, sentence1 …, label; those of all GLUE
    tasks are known) unless they are given. Unlabelled texts may also be a `.txt` file with a
    text a line, or `-` for the standard input: JSON lines if its first line is a JSON object,
    else a text a line. An empty text is an example like any other; an empty label is an error.

    Args:
        spec: the file or the TFDS name; the part of it after the last colon is the split.
        tfds_dir: where TFDS keeps its data, its own default if None.
        labelled: whether a label is expected; if not, a label column is not read.

    Raises:
        UserError: one line with file, line, the value received and what was expected.
    """
    where = None if tfds_dir is None else str(tfds_dir)
    source = DataSource(str(spec), text_column, pair_column, label_column, where)
    return read_kind(Examples, source, labelled)


def read_kind(kind: type[Kind], source: DataSource, labelled: bool = True) -> Kind:
    """Reads as `read_examples` does, with labels of the kind's own sort."""
    return kind_of_table(kind, read_table(source, labelled), source, labelled)


def kind_of_table(
    kind: type[Kind], table: tables.Table, source: DataSource, labelled: bool = True
) -> Kind:
    """Returns the examples of a table; `source` says which columns, and what of bad rows."""
    named = source.text_column, source.pair_column, source.label_column
    columns = choose_columns(table, *named, labelled)
    converters: dict[str, Callable[[Any], Any]] = {columns.text: as_text}
    if columns.pair is not None:
        converters[columns.pair] = as_text
    if columns.label is not None:
        converters[columns.label] = kind.convert
    values, lines = read_columns(table, converters, source.bad_rows)
    by_name = dict(zip(converters, values, strict=True))
    label = columns.label
    return kind(
        texts=by_name[columns.text],
        pairs=None if columns.pair is None else by_name[columns.pair],
        labels=None if label is None else kind.finish(by_name[label]),
        source=table.source,
        lines=lines,
        columns=columns,
        classes=table.classes.get(label or "", ()),
    )
