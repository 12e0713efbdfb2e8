"""Data sets of Hugging Face's `datasets`, as a Keras user passes them to a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bert_keras.data.arrow_tables import is_dataset, of_dataset
from bert_keras.data.source import DataSource

if TYPE_CHECKING:
    from bert_keras.tasks.answering import AnsweringTask

_TITLE = "the dataset"


def as_examples(task: AnsweringTask | type[AnsweringTask], x: Any, labelled: bool) -> Any:
    """Returns the examples of a `datasets.Dataset` by the task's reader; anything else as it is.

    Raises:
        UserError: it lacks a column that the task reads, or a value is not as expected.
    """
    if not is_dataset(x):
        return x
    return task.read(DataSource(_TITLE, table=of_dataset(x, _TITLE)), labelled)
