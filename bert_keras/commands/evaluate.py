"""`bert-keras evaluate`: scores a model on labelled data."""

from __future__ import annotations

import json
import time

from absl import flags

from bert_keras.commands.loading import load_scored_task, read_flagged


def run(values: flags.FlagValues) -> int:
    """Prints the metrics as one JSON object."""
    task = load_scored_task("model", values.model)
    examples = read_flagged(task, values, values.data, labelled=True)
    task.check(examples)
    prepared = task.prepare(examples)
    started = time.monotonic()
    outputs = task.run(prepared, values.batch_size)
    metrics, details = task.metrics_of(prepared, outputs), task.details(prepared, outputs)
    seconds = round(time.monotonic() - started, 3)
    row = {**metrics, "examples": len(examples), "seconds": seconds, **details}
    print(json.dumps(row, indent=2, ensure_ascii=False))
    return 0
