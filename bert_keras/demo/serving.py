"""The demo's servable, its server, and three questions over gRPC."""

from __future__ import annotations

import pathlib

from bert_keras.demo.stages import Result
from bert_keras.demo.story import Story

# Sentences of our own; the last two are exchanged.
QUESTIONS = (
    ("Return the number of rows in the table", "count rows ( table )"),
    ("Return rows in the table of the number", "count rows ( table )"),
    ("Write the file to a line of text", "write line ( file text )"),
)
_LOAD_SECONDS = 120.0


def export(model: pathlib.Path, path: pathlib.Path) -> Result:
    """Writes the servable BASE/NAME/VERSION of a model directory and returns its size."""
    from bert_keras.export import saved_model
    from bert_keras.tasks import TextClassifier

    saved_model.save(TextClassifier.from_pretrained(model), path)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return {"megabytes": size / 1e6}


def ask(story: Story, name: str, base_path: pathlib.Path) -> None:
    """Starts the development server on a free port, prints what it answers, and stops it."""
    from bert_keras.export.client import Client
    from bert_keras.export.server import ModelServer

    server = ModelServer({name: base_path}, host="127.0.0.1")
    try:
        port = server.start(timeout=_LOAD_SECONDS)
        story.line(f"the server listens on localhost:{port}")
        texts, pairs = zip(*QUESTIONS, strict=True)
        with Client(f"localhost:{port}") as client:
            answer = client.predict(name, {"text": list(texts), "text_pair": list(pairs)})
    finally:
        server.stop()
    for text, pair, label, scores in zip(
        texts, pairs, answer["label"], answer["scores"], strict=True
    ):
        story.line(f"{text}  |  {pair}")
        story.line(f"  -> {label.decode('utf-8')} ({scores.max():.0%})")
    story.line("server stopped")
