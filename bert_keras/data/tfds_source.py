"""Examples of TensorFlow Datasets, as a table."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import Any

from bert_keras.data.tables import Table, listed
from bert_keras.errors import UserError

# A version is part of the name (glue/sst2:2.0.0); the split may hold a slice (train[:10%]).
_WHOLE = re.compile(r"tfds:(?P<name>\w+(?:/[\w.+-]+)?(?::\d+\.[\d*]+\.[\d*]+)?)")
_SPEC = re.compile(_WHOLE.pattern + r":(?P<split>.+)")


def with_split(spec: str, split: str) -> str:
    """A data source with this split, if it is one of TFDS that names none."""
    return f"{spec}:{split}" if _WHOLE.fullmatch(spec) else spec


def read_tfds(spec: str, tfds_dir: str | pathlib.Path | None = None) -> Table:
    """Every example of a split; class labels become their names.

    Besides single values, columns are lists of these, as of words, and lists of records, as of
    SQuAD's answers, which become one object of lists. Other features are left out.

    A data set that is not under `tfds_dir` yet is downloaded and prepared, as `tfds.load` does.
    A class label of -1, which TFDS puts where a test set hides it, is an empty label.

    Args:
        spec: `tfds:NAME:SPLIT` or `tfds:NAME/CONFIG:SPLIT`; SPLIT as TFDS reads it, slices too.
        tfds_dir: TFDS's `data_dir`; its default folder if None.

    Raises:
        UserError: the data set or the split is unknown, or cannot be prepared.
    """
    match = _SPEC.fullmatch(spec)
    if not match:
        raise UserError(f"{spec}: expected tfds:NAME:SPLIT or tfds:NAME/CONFIG:SPLIT")
    import tensorflow_datasets as tfds

    builder = _builder(tfds, spec, match["name"], tfds_dir)
    try:
        dataset = builder.as_dataset(split=match["split"], shuffle_files=False)
    except ValueError as error:
        raise UserError(
            f"{spec}: the split {match['split']!r} cannot be read ({_line(error)}), "
            f"expected one of {listed(sorted(builder.info.splits))}"
        ) from None
    every = {name: _decoder(tfds, feature) for name, feature in builder.info.features.items()}
    decoders = {name: decode for name, decode in every.items() if decode is not None}
    rows = [
        [decode(example[name]) for name, decode in decoders.items()]
        for example in tfds.as_numpy(dataset)
    ]
    named = {name: _class_names(tfds, x) for name, x in builder.info.features.items()}
    classes = {name: names for name, names in named.items() if names}
    lines = list(range(1, len(rows) + 1))
    return Table(spec, list(decoders), rows, lines, classes, header_line=0)


def _builder(tfds: Any, spec: str, name: str, tfds_dir: str | pathlib.Path | None) -> Any:
    data_dir = None if tfds_dir is None else str(pathlib.Path(tfds_dir).expanduser())
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        raise UserError(
            f"{spec}: no such data set in TFDS or under --tfds_dir={tfds_dir} ({_line(error)})"
        ) from None
    if not builder.info.splits:
        try:
            builder.download_and_prepare()
        # Preparing runs the data set's own code and the network: anything may go wrong there.
        except Exception as error:
            raise UserError(
                f"{spec}: is not under {builder.data_dir} and cannot be prepared "
                f"({type(error).__name__}: {_line(error)})"
            ) from error
    return builder


def _class_names(tfds: Any, feature: Any) -> list[str]:
    """The names of a feature's classes, none where it has none."""
    return list(feature.names or ()) if isinstance(feature, tfds.features.ClassLabel) else []


def _decoder(tfds: Any, feature: Any) -> Callable[[Any], Any] | None:
    """What makes a feature's value JSON; None for what is no text, number, or list of these."""
    if isinstance(feature, tfds.features.Sequence):
        return _list_decoder(tfds, feature.feature)
    return None if feature.shape else _value_decoder(tfds, feature)


def _list_decoder(tfds: Any, inner: Any) -> Callable[[Any], Any] | None:
    if isinstance(inner, tfds.features.FeaturesDict):
        fields = {name: _list_decoder(tfds, feature) for name, feature in inner.items()}
        known = {name: decode for name, decode in fields.items() if decode is not None}
        return lambda values: {name: decode(values[name]) for name, decode in known.items()}
    if inner.shape is None or len(inner.shape):
        return None
    decode = _value_decoder(tfds, inner)
    return lambda values: [decode(value) for value in values]


def _value_decoder(tfds: Any, feature: Any) -> Callable[[Any], Any]:
    if _class_names(tfds, feature):
        return lambda value: feature.int2str(int(value)) if value >= 0 else ""
    return _plain


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        # Bytes that are not UTF-8 stay visible, for the reader's check to name their place.
        return value.decode("utf-8", "surrogateescape")
    # By way of text a float32 of 3.2 is 3.2 and not 3.200000047683716.
    return float(str(value)) if value.dtype.kind == "f" else value.item()


def _line(error: BaseException) -> str:
    """The first line of a message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
