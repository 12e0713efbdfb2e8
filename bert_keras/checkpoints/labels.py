"""The labels of a classifier's rows, as `config.json` names and counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bert_keras.errors import UserError


def default_labels(count: int) -> list[str]:
    """Returns LABEL_0, LABEL_1, …: transformers' names of classes that nobody named."""
    return [f"LABEL_{index}" for index in range(count)]


def are_default(labels: Sequence[Any]) -> bool:
    """Returns whether labels are those of `default_labels`, in their order."""
    return len(labels) > 0 and list(labels) == default_labels(len(labels))


def label_fields(labels: Sequence[str]) -> dict[str, Any]:
    """Returns the fields of `config.json` that hold labels: `id2label` and `label2id`."""
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def labels_of(
    settings: Mapping[str, Any], source: str = "config.json", rows: int | None = None
) -> list[str] | None:
    """Returns the labels in the order of the classifier's rows; None where nothing says.

    `id2label` names them, or else `label2id`. transformers writes neither for two classes
    without names, and Google's and KerasHub's formats have no such fields: the rows of the
    classifier are then LABEL_0, LABEL_1, ….

    Args:
        settings: the contents of `config.json`.
        source: where it is, for messages.
        rows: outputs of the stored classifier, None where there is none.

    Raises:
        UserError: the labels are not numbered 0, 1, 2, …; or their number, that of the rows,
            `num_labels` and `_num_labels` (which old releases wrote) differ.
    """
    labels = _named_labels(settings, source)
    counts = {} if labels is None else {"labels by name": len(labels)}
    for field in ("num_labels", "_num_labels"):
        if settings.get(field) is not None:
            counts[field] = settings[field]
    if rows is not None:
        counts["rows of the classifier"] = rows
        if any(count != rows for count in counts.values()):
            found = ", ".join(f"{name}: {count!r}" for name, count in counts.items())
            raise UserError(
                f"{source}: expected one number of classes, received {found}; correct id2label, "
                "label2id and num_labels in config.json"
            )
    return default_labels(rows) if labels is None and rows is not None else labels


def _named_labels(settings: Mapping[str, Any], source: str) -> list[str] | None:
    """Returns the labels that have names, in the order of their numbers."""
    table = settings.get("id2label")
    if not table:
        by_label = settings.get("label2id")
        if not isinstance(by_label, Mapping) or not by_label:
            return None
        table = {str(number): label for label, number in by_label.items()}
    if not isinstance(table, Mapping) or set(table) != {str(i) for i in range(len(table))}:
        raise UserError(f"{source}: id2label must number the labels from 0, received {table!r}")
    return [str(table[str(index)]) for index in range(len(table))]
