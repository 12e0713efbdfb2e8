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
    if any(map(_are_regions, first_row)):
        return LABEL_STUDIO
    return DOCCANO if any(_are_spans(row.get(name)) for name in SPAN_COLUMNS) else None


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
    """Returns the column that holds the spans of a table in doccano's form."""
    for row in table.rows:
        for name, value in zip(table.columns, row, strict=True):
            if name in SPAN_COLUMNS and _are_spans(value):
                return name
    raise AssertionError("a table without spans has no tool")


def _is_task(annotations: Any) -> bool:
    """Returns whether a list holds annotations of Label Studio, or none yet."""
    if not isinstance(annotations, list):
        return False
    return all(isinstance(one, dict) and "result" in one for one in annotations)


def _are_regions(value: Any) -> bool:
    """Returns whether a value is a list of spans as Label Studio's short export has them."""
    return _begins_with(value, dict) and {"start", "end", "labels"} <= value[0].keys()


def _are_spans(value: Any) -> bool:
    """Returns whether a value is a list of spans as doccano has them."""
    if _begins_with(value, dict):
        return "start_offset" in value[0]
    # A list of labels, as multi-label data has it, holds strings or numbers.
    if not _begins_with(value, list) or len(value[0]) != 3:
        return False
    return not isinstance(value[0][0], (str, list))


def _begins_with(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], kind)
