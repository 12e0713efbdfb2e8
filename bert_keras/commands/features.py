"""`bert-keras predict --features`: the states of a BERT's layers, as JSON lines or as `.npz`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
from absl import flags

from bert_keras.commands.loading import read_flagged
from bert_keras.errors import UserError
from bert_keras.tasks.feature_extractor import FeatureExtractor, TextFeatures


def write_lines(values: flags.FlagValues, file: TextIO) -> None:
    """A JSON object per input, laid out as google-research/bert's extract_features.py does."""
    extractor = _load(values)
    for index, found in enumerate(_extract(extractor, values)):
        row = {"linex_index": index, **extractor.answer_row(found)}
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_npz(values: flags.FlagValues) -> None:
    """The arrays of all inputs in one file, which is complete when it appears.

    `values` float32 `[texts, layers, hidden]`, and `layers` int32 `[layers]`. Without pooling
    `values` is `[tokens, layers, hidden]`, all texts on end; text i owns the rows from
    `offsets[i]` to before `offsets[i + 1]`, and `tokens` has their pieces.
    """
    extractor = _load(values)
    found = list(_extract(extractor, values))
    arrays: dict[str, Any] = {"layers": np.array(extractor.hidden_layers, np.int32)}
    width = (len(extractor.hidden_layers), extractor.encoder.config.hidden_size)
    empty = np.zeros((0, *width), np.float32)
    if extractor.pooling == "none":
        arrays["values"] = np.concatenate([empty, *(one.values for one in found)])
        arrays["offsets"] = np.cumsum([0, *(len(one.tokens) for one in found)]).astype(np.int64)
        arrays["tokens"] = np.array([token for one in found for token in one.tokens], np.str_)
    else:
        arrays["values"] = np.stack([one.values for one in found]) if found else empty
    path = pathlib.Path(values.output)
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)


def _load(values: flags.FlagValues) -> FeatureExtractor:
    layers, _, pooling = values.features.partition(":")
    try:
        numbers = [int(layer) for layer in layers.split(",")]
    except ValueError:
        raise UserError(
            f"--features={values.features}: expected LAYERS:POOLING, such as -1,-2:none or -1:mean"
        ) from None
    try:
        extractor: FeatureExtractor = FeatureExtractor.from_pretrained(
            values.model, layers=numbers, pooling=pooling or "none"
        )
    except UserError as error:
        raise UserError(f"--model={values.model} --features={values.features}: {error}") from None
    return extractor


def _extract(extractor: FeatureExtractor, values: flags.FlagValues) -> Iterator[TextFeatures]:
    examples = read_flagged(extractor, values, values.input, labelled=False)
    for start in range(0, len(examples), values.batch_size):
        prepared = extractor.prepare(examples.part(start, start + values.batch_size))
        yield from extractor.answers(prepared, extractor.run(prepared, values.batch_size))
