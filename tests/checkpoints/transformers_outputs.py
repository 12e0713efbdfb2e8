"""Runs saved model directories in transformers on PyTorch, for test_transformers_round_trip.py.

    python transformers_outputs.py FOLDER

FOLDER holds one model directory or more, each with a `features.npz`, or one of these for all. Each
gets an `outputs.npz` with everything that the model returns. Loading must neither miss nor drop a
tensor, but for those of a CRF, which transformers does not have.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import torch
import transformers


def main(folder: pathlib.Path) -> None:
    """Writes the outputs of every model in a folder."""
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        own = path / "features.npz"
        stored = np.load(own if own.exists() else folder / "features.npz")
        inputs = {
            "input_ids": torch.tensor(stored["token_ids"]).long(),
            "token_type_ids": torch.tensor(stored["segment_ids"]).long(),
            "attention_mask": torch.tensor(stored["padding_mask"]).long(),
        }
        auto = transformers.AutoConfig.from_pretrained(path)
        kind = getattr(transformers, auto.architectures[0])
        model, report = kind.from_pretrained(path, output_loading_info=True)
        problems = [
            (name, key)
            for name, found in report.items()
            for key in found
            if not str(key).startswith("crf.")
        ]
        if problems:
            sys.exit(f"{path.name}: {problems}")
        with torch.no_grad():
            outputs = model.eval()(**inputs)
        arrays = {name: value.numpy() for name, value in outputs.items()}
        np.savez(path / "outputs.npz", **arrays)
        print(path.name, auto.architectures, auto.id2label)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
