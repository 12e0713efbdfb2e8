"""Records what transformers' BertTokenizerFast makes of `added_texts.py`; see README.md."""

from __future__ import annotations

import pathlib
import tempfile

import added_texts
import numpy as np
import transformers

HERE = pathlib.Path(__file__).resolve().parent


def record(name: str, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Ids and character offsets of all texts, without [CLS] and [SEP]."""
    for file, content in added_texts.files(name).items():
        (folder / file).write_text(content, encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast.from_pretrained(folder)
    found = tokenizer(
        added_texts.texts(name), add_special_tokens=False, return_offsets_mapping=True
    )
    rows = found["input_ids"]
    spans = [span for row in found["offset_mapping"] for span in row]
    offsets = np.array(spans, np.uint16)
    return {
        f"{name}/row_splits": np.cumsum([0, *map(len, rows)]).astype(np.int32),
        f"{name}/ids": np.concatenate(rows).astype(np.uint16),
        f"{name}/starts": offsets[:, 0],
        f"{name}/ends": offsets[:, 1],
        f"{name}/tokens": np.array(tokenizer.convert_tokens_to_ids(added_texts.contents(name))),
    }


def main() -> None:
    """Writes added_tokens.npz."""
    arrays: dict[str, np.ndarray] = {}
    for name in added_texts.NAMES:
        with tempfile.TemporaryDirectory() as folder:
            arrays |= record(name, pathlib.Path(folder))
    path = HERE / "added_tokens.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
