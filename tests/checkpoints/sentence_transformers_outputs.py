"""Embeds texts with sentence-transformers, for test_transformers_round_trip.py.

    python sentence_transformers_outputs.py FOLDER

FOLDER holds `texts.json` and one model directory or more; each gets an `embeddings.npy`.
"""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np
from sentence_transformers import SentenceTransformer


def main(folder: pathlib.Path) -> None:
    """Writes the vectors of every model in a folder."""
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        model = SentenceTransformer(str(path), device="cpu")
        print(path.name, [type(module).__name__ for module in model], model.max_seq_length)
        np.save(path / "embeddings.npy", model.encode(texts, show_progress_bar=False))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
