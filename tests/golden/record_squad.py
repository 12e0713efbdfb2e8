"""Records squad.npz with the official scripts of SQuAD; see README.md.

python tests/golden/record_squad.py evaluate-v1.1.py evaluate-v2.0.py
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np
import squad_cases


def load(script: str) -> Any:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location("official", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(case: squad_cases.Case) -> tuple[list[Any], dict[str, str], dict[str, float]]:
    """Articles, predictions and null scores as the scripts take them."""
    names = [str(index) for index in range(len(case.golds))]
    questions = [
        {"id": name, "answers": [{"text": text} for text in gold]}
        for name, gold in zip(names, case.golds, strict=True)
    ]
    predictions = dict(zip(names, case.predictions, strict=True))
    null_scores = dict(zip(names, case.null_scores, strict=True))
    return [{"paragraphs": [{"qas": questions}]}], predictions, null_scores


def scores_of_2(official: Any, case: squad_cases.Case) -> dict[str, float]:
    """What the script of SQuAD 2.0 prints, the predictions being taken as they are."""
    articles, predictions, null_scores = inputs(case)
    contents = {"data": {"data": articles}, "answers": predictions, "nulls": null_scores}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: pathlib.Path(folder) / name for name in contents}
        for name, content in contents.items():
            paths[name].write_text(json.dumps(content), "utf-8")
        official.OPTS = argparse.Namespace(
            data_file=paths["data"],
            pred_file=paths["answers"],
            na_prob_file=paths["nulls"],
            na_prob_thresh=1000.0,
            out_image_dir=None,
            out_file=None,
        )
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            official.main()
    return json.loads(printed.getvalue())


def main(script_1: str, script_2: str) -> None:
    official_1, official_2 = load(script_1), load(script_2)
    first = [official_1.evaluate(*inputs(case)[:2]) for case in squad_cases.cases(False)]
    second = [scores_of_2(official_2, case) for case in squad_cases.cases(True)]
    np.savez_compressed(
        pathlib.Path(__file__).with_name("squad.npz"),
        v1=np.array([[one["exact_match"], one["f1"]] for one in first]),
        v2=np.array([[one.get(key, np.nan) for key in squad_cases.NAMES_OF_2] for one in second]),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
