"""Recognizes the files of annotation tools, which are converted before they are read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from bert_keras.data.tables import MISSING, Table

CLUENER = "CLUENER"
DOCCANO = "doccano"
LABEL_STUDIO = "Label Studio"
KAGGLE = "Kaggle"

KAGGLE_COLUMNS = ("sentence #", "word", "tag")
# Where doccano's versions write the spans of a text.
SPAN_COLUMNS = ("label", "labels", "entities", "annotations")
# Label Studio called annotations completions before version 1.0.
TASK_COLUMNS = ("annotations", "completions")
# A message about a large table does not need a pass over it: texts without spans are few.
_ROWS_OF_HINT = 100


def annotation_tool(columns: Sequence[str], first_row: Sequence[Any]) -> str | None:
    """Returns the tool or data set whose form of annotations a row has.

    Args:
        columns: the names of the table's columns.
        first_row: the values of one row, in the columns' order.

    Returns:
        "CLUENER", "doccano", "Label Studio" or "Kaggle"; None where the row has neither spans
        nor a word per row.
    """
    if set(KAGGLE_COLUMNS) <= {name.lower() for name in columns}:
        return KAGGLE
    row = dict(zip(columns, first_row, strict=True))
    if isinstance(row.get("data"), dict) and any(_is_task(row.get(name)) for name in TASK_COLUMNS):
        return LABEL_STUDIO
    label = row.get("label")
    if isinstance(label, dict) and any(isinstance(value, dict) for value in label.values()):
        return CLUENER
    return next(filter(None, (_tool_of_spans(row.get(name)) for name in SPAN_COLUMNS)), None)


def tool_of_table(table: Table, most_rows: int | None = None) -> str | None:
    """Returns `annotation_tool` of the first row that has annotations.

    Args:
        table: the table; one without rows shows what its columns do.
        most_rows: how many rows to look at, all if None.
    """
    rows = itertools.islice(table.rows, most_rows)
    no_values = [MISSING] * len(table.columns)
    found = (annotation_tool(table.columns, row) for row in itertools.chain([no_values], rows))
    return next(filter(None, found), None)


def converter_hint(table: Table) -> str:
    """Returns how the table's file is converted, to end a message with.

    The result is empty where the table does not hold annotations.
    """
    tool = tool_of_table(table, _ROWS_OF_HINT)
    if tool is None:
        return ""
    return (
        f"; these are annotations in {tool}'s form: bert-keras convert --from={table.source} "
        "--to=tagged_sentences --output=FILE.jsonl writes words and tags"
    )


def span_column(table: Table) -> str:
    """Returns the column that holds the spans of a table in doccano's or Label Studio's form."""
    for row in table.rows:
        for name, value in zip(table.columns, row, strict=True):
            if name in SPAN_COLUMNS and _tool_of_spans(value):
                return name
    raise AssertionError("a table without spans has no tool")


def _is_task(annotations: Any) -> bool:
    """Returns whether a list holds annotations of Label Studio, or none yet."""
    if not isinstance(annotations, list):
        return False
    return all(isinstance(one, dict) and "result" in one for one in annotations)


def _tool_of_spans(value: Any) -> str | None:
    """Returns the tool that writes such a list of spans."""
    if value is MISSING or not isinstance(value, list) or not value:
        return None
    first = value[0]
    if isinstance(first, dict):
        if "start_offset" in first:
            return DOCCANO
        return LABEL_STUDIO if {"start", "end", "labels"} <= first.keys() else None
    # A list of labels, as multi-label data has it, holds strings or numbers.
    is_triple = isinstance(first, list) and len(first) == 3
    return DOCCANO if is_triple and not isinstance(first[0], (str, list)) else None
