"""`bert-keras prepare`: text to the tokenized corpus that `pretrain` reads."""

from __future__ import annotations

import os
import time

from absl import flags

from bert_keras.commands.progress import ByteProgress
from bert_keras.data.manifest import Manifest
from bert_keras.data.prepare import PrepareSettings, prepare
from bert_keras.tokenization import BertTokenizer


def run(values: flags.FlagValues) -> int:
    """Prepares `--corpus` in `--output_dir` and prints one line about what is there."""
    began = time.monotonic()
    settings = PrepareSettings(
        values.documents, values.sentences, values.segmenter, values.text_field
    )
    tokenizer = BertTokenizer(values.vocab, lowercase=not values.cased)
    if values.beam_runner is not None:
        from bert_keras.data.beam_prepare import prepare_with_beam

        manifest = prepare_with_beam(
            values.corpus,
            tokenizer,
            values.output_dir,
            settings,
            values.beam_runner,
            values.beam_option,
        )
    else:
        progress = ByteProgress("prepare")
        try:
            manifest = prepare(
                values.corpus,
                tokenizer,
                values.output_dir,
                settings,
                values.threads or len(os.sched_getaffinity(0)),
                progress,
            )
        finally:
            progress.end()
    print(_report(values.output_dir, manifest, time.monotonic() - began))
    return 0


def _report(output_dir: str, manifest: Manifest, seconds: float) -> str:
    return (
        f"{output_dir}: {manifest.documents:,} documents, {manifest.sentences:,} sentences, "
        f"{manifest.tokens:,} tokens in {len(manifest.shards):,} shards, {seconds:.0f} s"
    )
