"""Runs saved model directories in transformers on PyTorch, for test_transformers_round_trip.py.

    python transformers_outputs.py FOLDER

FOLDER holds `features.npz` and one model directory per architecture, named like it. Each gets
an `outputs.npz` with everything the model returns; loading must neither miss nor drop a tensor.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import torch
import transformers


def main(folder: pathlib.Path) -> None:
    """Writes the outputs of every model in a folder."""
    stored = np.load(folder / "features.npz")
    inputs = {
        "input_ids": torch.tensor(stored["token_ids"]).long(),
        "token_type_ids": torch.tensor(stored["segment_ids"]).long(),
        "attention_mask": torch.tensor(stored["padding_mask"]).long(),
    }
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        kind = getattr(transformers, path.name)
        model, report = kind.from_pretrained(path, output_loading_info=True)
        problems = {name: list(found) for name, found in report.items() if found}
        if problems:
            sys.exit(f"{path.name}: {problems}")
        with torch.no_grad():
            outputs = model.eval()(**inputs)
        arrays = {name: value.numpy() for name, value in outputs.items()}
        np.savez(path / "outputs.npz", **arrays)
        auto = transformers.AutoConfig.from_pretrained(path)
        print(path.name, auto.architectures, auto.id2label)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
