"""`bert-keras predict --corpus`: the texts of a file that are most like each input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from absl import flags

from bert_keras.commands.loading import load_task, read_flagged
from bert_keras.errors import UserError
from bert_keras.tasks.sentence_embedder import SentenceEmbedder
from bert_keras.tasks.text_search import semantic_search

_TOP_K = 5


def search(values: flags.FlagValues) -> Iterator[dict[str, Any]]:
    """A row per input, in order: `text` and `matches`, best first, with line, text and score.

    Raises:
        UserError: the model is no embedder, or texts cannot be read.
    """
    task = load_task("model", values.model)
    if not isinstance(task, SentenceEmbedder):
        raise UserError(f"--corpus: is for embedding models, --model is of {task.task_name}")
    queries, corpus = (
        read_flagged(task, values, spec, labelled=False) for spec in (values.input, values.corpus)
    )
    found = semantic_search(task, queries.texts, corpus.texts, values.top_k or _TOP_K)
    for index, matches in enumerate(found):
        yield {
            **queries.row(index),
            "matches": [
                {"line": corpus.lines[match.index], "text": match.text, "score": match.score}
                for match in matches
            ],
        }
