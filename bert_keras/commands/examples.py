"""`bert-keras examples`: ready-made examples in the format of google-research/bert."""

from __future__ import annotations

import sys
import time

import numpy as np
from absl import flags

from bert_keras.data.pretraining_examples import ExampleSettings, StoreExamples
from bert_keras.data.store import CorpusStore
from bert_keras.data.tfrecord_writer import ExampleWriter

_BATCH = 1024
_SECONDS_BETWEEN_LINES = 1.0


def run(values: flags.FlagValues) -> int:
    """Writes the examples of `--dupe_factor` epochs and prints one line about them."""
    settings = ExampleSettings(
        seq_length=values.seq_length,
        masking=values.masking,
        mask_rate=values.mask_rate,
        max_predictions=values.max_predictions,
        short_seq_prob=values.short_seq_prob,
        max_ngram=values.max_ngram,
        seed=values.seed,
    )
    source = StoreExamples(CorpusStore.open(values.corpus), settings)
    began = time.monotonic()
    with ExampleWriter(values.output, values.shards, values.use_v2_feature_names) as writer:
        try:
            _write(source, values.dupe_factor, writer)
        finally:
            print(end="\n", file=sys.stderr)
    seconds = time.monotonic() - began
    print(
        f"{values.output}: {writer.examples:,} examples of {settings.seq_length} tokens with "
        f"{settings.predictions} predictions in {values.shards:,} files, {seconds:.0f} s"
    )
    return 0


def _write(source: StoreExamples, epochs: int, writer: ExampleWriter) -> None:
    """Window after window, with a line of progress on the standard error."""
    total = epochs * source.windows()
    shown = 0.0
    for number in range(total):
        window = source.window(*divmod(number, source.windows()))
        for begin in range(0, len(window), _BATCH):
            end = min(begin + _BATCH, len(window))
            writer.write(window.batch(np.arange(begin, end)))
            if time.monotonic() - shown > _SECONDS_BETWEEN_LINES:
                shown = time.monotonic()
                done = 100 * (number + end / len(window)) / total
                print(f"\rexamples: {writer.examples:,}, {done:.0f} %", end="", file=sys.stderr)
