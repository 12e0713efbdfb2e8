"""`bert-keras evaluate`: scores a model on labelled data."""

from __future__ import annotations

import json
import time

import numpy as np
from absl import flags

from bert_keras.commands.loading import check_pairs, load_task, read_flagged


def run(values: flags.FlagValues) -> int:
    """Prints the metrics as one JSON object."""
    task = load_task("model", values.model)
    examples = read_flagged(values, values.data, labelled=True)
    check_pairs(task, examples)
    labels = np.asarray(examples.label_ids([str(label) for label in task.labels]), np.int32)
    started = time.monotonic()
    logits = task.raw_outputs(task.encode(examples.texts, examples.pairs), values.batch_size)
    metrics = task.metrics_of(logits, labels)
    seconds = round(time.monotonic() - started, 3)
    print(json.dumps({**metrics, "examples": len(examples), "seconds": seconds}, indent=2))
    return 0
