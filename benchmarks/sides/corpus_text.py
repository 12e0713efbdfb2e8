"""Text for `prepare` and for google-research/bert's data script."""

from __future__ import annotations

import pathlib


def take(assets: str, megabytes: float) -> str:
    """The first so many megabytes of the books; again from the start where that is not enough."""
    size = int(megabytes * 1e6)
    books = sorted(pathlib.Path(assets, "data").glob("books/*/*.md"))
    text = b""
    while len(text) < size:
        for book in books:
            text += book.read_bytes() + b"\n\n"
            if len(text) >= size:
                break
    return text[:size].decode("utf-8", "ignore")


def write(folder: str, assets: str, megabytes: float) -> None:
    """Writes `text.txt`, plain, and `lines.txt`, a sentence a line as Google's script wants it."""
    from bert_keras.data.sentences import splitter

    text = take(assets, megabytes)
    lines = (" ".join(sentence.split()) for sentence in splitter("english")(text))
    pathlib.Path(folder, "text.txt").write_text(text, "utf-8")
    pathlib.Path(folder, "lines.txt").write_text("\n".join(lines), "utf-8")
