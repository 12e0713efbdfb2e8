"""`bert-keras finetune`: trains a task model on files, resumes where it was stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from bert_keras.commands.loading import kind_of, read_flagged
from bert_keras.data.encoded import EncodedExamples
from bert_keras.data.examples import Examples
from bert_keras.data.files import write_json, write_json_lines
from bert_keras.data.training_batches import LabelledExamples
from bert_keras.errors import UserError
from bert_keras.flags import ABSL_FLAGS
from bert_keras.tasks import TextClassifier
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.fine_tuning import (
    FineTuner,
    FineTuningSettings,
    Progress,
)
from bert_keras.training.run_directory import claim_directory
from bert_keras.training.strategies import make_strategy

# Flags that say where things are and how a run works. What decides the outcome is compared by
# content, so that moved files do not end a run; of --init its name is all there is to compare.
_WITHOUT_EFFECT = (
    *ABSL_FLAGS,
    "checkpoint_every",
    "dev",
    "label_column",
    "output_dir",
    "pair_column",
    "text_column",
    "tfds_dir",
    "train",
    "vocab",
)


@dataclasses.dataclass(frozen=True)
class _Split:
    """Examples with their labels as numbers."""

    examples: Examples
    ids: np.ndarray


def run(values: flags.FlagValues) -> int:
    """Leaves `model/`, `metrics.json` and `predictions.jsonl` under `--output_dir`."""
    output_dir = pathlib.Path(values.output_dir)
    labels, train, dev = _read(values)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(values.seed)
    strategy = make_strategy(values.strategy)
    with strategy.scope():
        task = _make_task(values, labels, pairs=train.examples.pairs is not None)
    claim_directory(output_dir, _identity(values, task, strategy, train, dev))
    _announce(task, train, dev, strategy)
    score = None if dev is None else _scorer(task, dev)
    tuner = FineTuner(
        task,
        LabelledExamples(_encode(task, train), train.ids),
        None if score is None else lambda: score()[0],
        output_dir,
        _settings(values),
        strategy,
    )
    try:
        progress = tuner.run()
    except FloatingPointError as error:
        raise UserError(f"--output_dir={output_dir}: {error}") from None
    task.save_pretrained(output_dir / "model")
    metrics = _summary(progress, len(train.ids))
    if dev is not None and score is not None:
        scores, logits = score()
        metrics = {**scores, "examples": len(dev.ids), **metrics}
        predictions = _predictions(task, dev.examples, logits)
        write_json_lines(output_dir / "predictions.jsonl", predictions)
    write_json(output_dir / "metrics.json", metrics)
    print(f"model, metrics and predictions are in {output_dir}")
    return 0


def _read(values: flags.FlagValues) -> tuple[list[str], _Split, _Split | None]:
    """The labels, the training examples and those to score, checked against each other."""
    train = read_flagged(values, values.train, labelled=True)
    labels = values.labels or train.label_set()
    train_split = _Split(train, np.asarray(train.label_ids(labels), np.int32))
    if values.early_stopping and not values.dev:
        raise UserError("--early_stopping: needs --dev, the data to score")
    if values.lora_rank and values.freeze != "none":
        raise UserError("--lora_rank: freezes all other weights by itself, give no --freeze")
    if values.batch_tokens and values.batching == "packed":
        raise UserError("--batch_tokens: is for --batching=padded, packed batches count examples")
    if values.best_metric == "f1" and len(labels) != 2:
        raise UserError(f"--best_metric=f1: is for two labels, there are {len(labels)}")
    if not values.dev:
        return labels, train_split, None
    dev = read_flagged(values, values.dev, labelled=True)
    train_kind, dev_kind = (kind_of(split.pairs is not None) for split in (train, dev))
    if dev_kind != train_kind:
        raise UserError(f"--dev={values.dev}: has {dev_kind}, --train={values.train} {train_kind}")
    return labels, train_split, _Split(dev, np.asarray(dev.label_ids(labels), np.int32))


def _encode(task: TextClassifier, split: _Split) -> EncodedExamples:
    return task.encode(split.examples.texts, split.examples.pairs)


def _scorer(task: TextClassifier, dev: _Split) -> Callable[[], tuple[dict[str, float], np.ndarray]]:
    """A function that gives the metrics and the logits of the model as it stands."""
    inputs = _encode(task, dev)

    def score() -> tuple[dict[str, float], np.ndarray]:
        logits = task.raw_outputs(inputs)
        return task.metrics_of(logits, dev.ids), logits

    return score


def _settings(values: flags.FlagValues) -> FineTuningSettings:
    return FineTuningSettings(
        epochs=values.epochs,
        batch_size=_batch_size(values),
        batch_tokens=values.batch_tokens,
        batching=values.batching,
        learning_rate=values.learning_rate,
        warmup_ratio=values.warmup_ratio,
        weight_decay=values.weight_decay,
        clip_norm=values.clip_norm or None,
        seed=values.seed,
        checkpoint_every=values.checkpoint_every,
        patience=values.early_stopping,
        best_metric=values.best_metric,
    )


def _batch_size(values: flags.FlagValues) -> int | None:
    """None, any number, where the tokens of a batch are given and its examples are not."""
    return values.batch_size if values["batch_size"].present or not values.batch_tokens else None


def _make_task(values: flags.FlagValues, labels: list[str], pairs: bool) -> TextClassifier:
    random_weights = values.init.startswith("size:")
    if random_weights != (values.vocab is not None):
        expected = "--vocab is needed with" if random_weights else "--vocab goes only with"
        raise UserError(f"--init={values.init}: {expected} --init=size:…")
    tokenizer = None
    if values.vocab is not None:
        tokenizer = BertTokenizer(values.vocab, lowercase=not values.cased)
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[values.precision]
    try:
        task = TextClassifier.from_pretrained(
            values.init,
            labels,
            max_length=values.seq_length,
            seed=values.seed,
            dtype=policy,
            tokenizer=tokenizer,
            lora_rank=values.lora_rank,
        )
    except UserError as error:
        raise UserError(f"--init={values.init}: {error}") from None
    task.pairs = pairs
    if values.freeze == "encoder":
        task.encoder.trainable = False
    elif values.freeze == "embeddings":
        task.encoder.embeddings.trainable = False
    return task


def _identity(
    values: flags.FlagValues,
    task: TextClassifier,
    strategy: tf.distribute.Strategy,
    train: _Split,
    dev: _Split | None,
) -> dict[str, Any]:
    """What decides the outcome of a run: settings, and the contents behind the paths."""
    run = {name: values[name].value for name in values if name not in _WITHOUT_EFFECT}
    run["batch_size"] = _batch_size(values)
    tokenizer = {**task.tokenizer.get_config(), "name": None}
    run |= {
        "labels": task.labels,
        "replicas": strategy.num_replicas_in_sync,
        "config": task.encoder.config.to_dict(),
        "vocabulary_sha256": _digest(task.tokenizer.vocabulary, tokenizer),
    }
    for name, split in (("train", train), ("dev", dev)):
        if split is not None:
            examples = split.examples
            run[f"{name}_sha256"] = _digest(examples.texts, examples.pairs, examples.labels)
    return run


def _digest(*contents: Any) -> str:
    return hashlib.sha256(repr(contents).encode("utf-8", "replace")).hexdigest()


def _announce(
    task: TextClassifier, train: _Split, dev: _Split | None, strategy: tf.distribute.Strategy
) -> None:
    weights = sum(int(np.prod(weight.shape)) for weight in task.trainable_weights)
    print(
        f"{len(train.ids)} training examples, {0 if dev is None else len(dev.ids)} to score; "
        f"labels: {', '.join(map(str, task.labels))}; {weights / 1e6:.1f} M trainable weights; "
        f"{strategy.num_replicas_in_sync} replica(s)",
        flush=True,
    )


def _summary(progress: Progress, train_examples: int) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "train_examples": train_examples,
        "seconds": round(progress.seconds, 2),
        "history": progress.history,
    }
    if progress.best_epoch:
        summary["best_epoch"] = progress.best_epoch
    return summary


def _predictions(task: TextClassifier, dev: Examples, logits: np.ndarray) -> list[dict[str, Any]]:
    rows, labels = [], dev.labels or []
    for index, answer in enumerate(task.answers(logits)):
        row: dict[str, Any] = {"text": dev.texts[index]}
        if dev.pairs is not None:
            row["text_pair"] = dev.pairs[index]
        row.update(label=labels[index], prediction=answer.label, score=answer.score)
        rows.append({**row, "scores": answer.scores})
    return rows
