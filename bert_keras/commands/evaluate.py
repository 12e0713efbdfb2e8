"""`bert-keras evaluate`: scores a model on labelled data."""

from __future__ import annotations

import json
import time

from absl import flags, logging

from bert_keras.commands.loading import bad_rows_of, load_scored_task, read_flagged


def run(values: flags.FlagValues) -> int:
    """Prints the metrics as one JSON object."""
    task = load_scored_task("model", values.model)
    bad_rows = bad_rows_of(values)
    examples = read_flagged(task, values, values.data, labelled=True, bad_rows=bad_rows)
    for skipped in bad_rows.skipped:
        logging.warning("skipped %s: %s", skipped.where, skipped.reason)
    task.check(examples)
    prepared = task.prepare(examples)
    started = time.monotonic()
    outputs = task.run(prepared, values.batch_size)
    metrics, details = task.metrics_of(prepared, outputs), task.details(prepared, outputs)
    seconds = round(time.monotonic() - started, 3)
    counts = {"examples": len(examples), "skipped_rows": len(bad_rows.skipped)}
    row = {**metrics, **counts, "seconds": seconds, **details}
    print(json.dumps(row, indent=2, ensure_ascii=False))
    return 0
