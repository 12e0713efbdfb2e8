"""Tables of Apache Arrow: Parquet files, and data sets of Hugging Face's `datasets`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from bert_keras.data.source import DataSource
from bert_keras.data.tables import Table
from bert_keras.errors import UserError

# The entry of a schema's metadata in which `datasets` keeps the names of classes.
_METADATA = b"huggingface"
# What `datasets` stores where a test set hides its classes.
_HIDDEN = -1


def read_parquet(source: DataSource) -> Table:
    """Reads a Parquet file; classes of Hugging Face's data sets become their names.

    Raises:
        UserError: the file cannot be read, or is not Parquet.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(source.spec, memory_map=True)
    except OSError as error:
        reason = error.strerror or str(error).split("\n")[0]
        raise UserError(f"{source.spec}: cannot be read ({reason})") from None
    except (pyarrow.ArrowException, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"{source.spec}: is not a whole Parquet file ({reason})") from None
    return of_arrow(table, source.spec)


def is_dataset(x: Any) -> bool:
    """Returns whether `x` is a `datasets.Dataset` of Hugging Face, without importing it."""
    return type(x).__module__.partition(".")[0] == "datasets"


def of_dataset(dataset: Any, title: str = "the dataset") -> Table:
    """Returns the rows of a `datasets.Dataset`, as selected and shuffled, as a table.

    Raises:
        UserError: it is a collection of splits, or is not in memory.
    """
    if hasattr(dataset, "keys"):
        splits = ", ".join(map(str, dataset.keys()))
        raise UserError(f"{title}: received a DatasetDict, expected one of its splits ({splits})")
    if not hasattr(dataset, "with_format") or not hasattr(dataset, "__len__"):
        kind = type(dataset).__name__
        raise UserError(f"{title}: received a {kind}, expected a datasets.Dataset")
    # Not `dataset.data`, which ignores what `select` and `shuffle` did.
    return of_arrow(dataset.with_format("arrow")[:], title, _features(dataset))


def _features(dataset: Any) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for name, feature in (dataset.features or {}).items():
        # A list of classes, such as the tags of words, has the classes' feature inside.
        names = getattr(getattr(feature, "feature", feature), "names", None)
        if isinstance(names, list):
            found[name] = names
    return found


def of_arrow(table: Any, title: str, classes: dict[str, Sequence[str]] | None = None) -> Table:
    """Returns a `pyarrow.Table` as a table.

    Args:
        table: the table.
        title: what messages call it.
        classes: the names of classes that columns hold the numbers of; by default those that the
            table's metadata has.
    """
    names = table.schema.names
    known = _stored_classes(table.schema.metadata) if classes is None else classes
    classes = {name: known[name] for name in names if known.get(name)}
    columns = []
    for name in names:
        values = table.column(name).to_pylist()
        convert = _name_of(classes[name]) if name in classes else None
        columns.append(values if convert is None else [convert(value) for value in values])
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table(title, list(names), rows, list(range(1, len(rows) + 1)), classes, header_line=0)


def _stored_classes(metadata: Any) -> dict[str, Sequence[str]]:
    """Returns the names of classes by column that `datasets` stored beside the data."""
    try:
        features = json.loads((metadata or {}).get(_METADATA, b"{}"))["info"]["features"]
        inner = {name: feature.get("feature", feature) for name, feature in features.items()}
        return {
            name: feature["names"]
            for name, feature in inner.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _name_of(names: Sequence[str]) -> Callable[[Any], Any]:
    """Returns what turns numbers of classes into names; a hidden one becomes an empty text."""

    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(one) for one in value]
        if value == _HIDDEN:
            return ""
        return names[value] if isinstance(value, int) and 0 <= value < len(names) else value

    return convert
