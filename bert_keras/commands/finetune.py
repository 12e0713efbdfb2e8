"""`bert-keras finetune`: trains a task model on files, resumes where it was stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from bert_keras.commands.loading import bad_rows_of, read_flagged
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.files import write_json, write_json_lines
from bert_keras.data.tfds_source import with_split
from bert_keras.errors import UserError
from bert_keras.flags import ABSL_FLAGS, task_options
from bert_keras.tasks import TASKS, FineTunedTask, Prepared
from bert_keras.tasks.freezing import freeze
from bert_keras.tasks.teacher import load_teacher
from bert_keras.tokenization import BertTokenizer
from bert_keras.training.fine_tuning import (
    FineTuner,
    FineTuningSettings,
    Progress,
)
from bert_keras.training.fine_tuning_report import write_fine_tuning_report
from bert_keras.training.run_directory import claim_directory
from bert_keras.training.strategies import make_strategy

# Flags that say where things are and how a run works. What decides the outcome is compared by
# content, so that moved files do not end a run; of --init its name is all there is to compare.
_WITHOUT_EFFECT = (
    *ABSL_FLAGS,
    "bad_rows",
    "checkpoint_every",
    "dev",
    "encoding",
    "label_column",
    "output_dir",
    "pair_column",
    "quotes",
    "text_column",
    "tfds_dir",
    "train",
    "vocab",
)


def run(values: flags.FlagValues) -> int:
    """Leaves `model/`, `metrics.json`, `predictions.jsonl`, `report.html` under `--output_dir`."""
    output_dir = pathlib.Path(values.output_dir)
    _check_flags(values)
    given = task_options.given(values)
    kind = TASKS[values.task].variant(given)
    bad_rows = bad_rows_of(values)
    train_spec = with_split(values.train, "train")
    train = read_flagged(kind, values, train_spec, labelled=True, bad_rows=bad_rows)
    dev = None
    if values.dev:
        dev = read_flagged(kind, values, values.dev, labelled=True, bad_rows=bad_rows)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(values.seed)
    strategy = make_strategy(values.strategy)
    with strategy.scope():
        task = _make_task(kind, values, kind.options_from(train, given))
        _add_teacher(task, values)
    settings = _settings(values, _best_metric(values, task, dev))
    splits = _prepare(task, train, dev, bad_rows)
    named = {name: values[name].value for name in ("train", "dev")}
    claim_directory(output_dir, _identity(values, task, strategy, splits), named)
    _write_skipped(output_dir, bad_rows)
    _announce(task, splits, strategy)
    tuner = FineTuner(
        task,
        task.training_examples(splits["train"]),
        _scorer(task, splits["dev"]) if "dev" in splits else None,
        output_dir,
        settings,
        strategy,
    )
    try:
        progress = tuner.run()
    except FloatingPointError as error:
        raise UserError(f"--output_dir={output_dir}: {error}") from None
    metrics = _summary(progress, len(splits["train"].examples), len(bad_rows.skipped))
    if "dev" in splits:
        metrics = {**_score_dev(task, splits["dev"], given, output_dir), **metrics}
    task.save_pretrained(output_dir / "model")
    write_json(output_dir / "metrics.json", metrics)
    write_fine_tuning_report(output_dir)
    print(f"model, metrics, predictions and report.html are in {output_dir}")
    return 0


def _check_flags(values: flags.FlagValues) -> None:
    """What the flags say together, before anything is read."""
    if values.early_stopping and not values.dev:
        raise UserError("--early_stopping: needs --dev, the data to score")
    if values.lora_rank and values.freeze != "none":
        raise UserError("--lora_rank: freezes all other weights by itself, give no --freeze")
    if values.lora_alpha is not None and not values.lora_rank:
        raise UserError("--lora_alpha: needs --lora_rank")
    if values.batch_tokens and values.batching == "packed":
        raise UserError("--batch_tokens: is for --batching=padded, packed batches count examples")
    for name in task_options.given(values):
        takers = task_options.TASKS_OF[name]
        if values.task not in takers:
            raise UserError(f"--{name}: is for --task={'|'.join(takers)}, not {values.task}")
    if values.batching == "packed" and not TASKS[values.task].packs:
        raise UserError(f"--batching=packed: is not for --task={values.task}")


def _prepare(task: FineTunedTask, train: Any, dev: Any, bad_rows: BadRows) -> dict[str, Prepared]:
    """The training examples and, if there are any, those to score, checked and tokenized."""
    prepared = {}
    for name, examples in (("train", train), ("dev", dev)):
        if examples is not None:
            task.check(examples)
            prepared[name] = task.prepare(examples)
    prepared["train"] = task.without_unusable(prepared["train"], bad_rows)
    return prepared


def _scorer(task: FineTunedTask, dev: Prepared) -> Callable[[], dict[str, float]]:
    """A function that gives the metrics of the model as it stands."""
    return lambda: task.metrics_of(dev, task.run(dev))


def _score_dev(
    task: FineTunedTask, dev: Prepared, given: Mapping[str, Any], output_dir: pathlib.Path
) -> dict[str, Any]:
    """The metrics of the finished model; leaves its answers in `predictions.jsonl`."""
    outputs = task.run(dev)
    task.tune(dev, outputs, given)
    rows = [
        task.scored_row(dev.examples.row(index), answer)
        for index, answer in enumerate(task.answers(dev, outputs))
    ]
    write_json_lines(output_dir / "predictions.jsonl", rows)
    metrics, details = task.metrics_of(dev, outputs), task.details(dev, outputs)
    return {**metrics, "examples": len(dev.examples), **details}


def _best_metric(values: flags.FlagValues, task: FineTunedTask, dev: Any) -> str:
    names = task.metric_names() if dev is None else task.metrics_for(dev)
    chosen: str = values.best_metric or (task.best_metric if dev is None else names[0])
    known = (*names, "loss")
    if chosen not in known:
        raise UserError(f"--best_metric={chosen}: expected one of {', '.join(known)}")
    return chosen


def _settings(values: flags.FlagValues, best_metric: str) -> FineTuningSettings:
    return FineTuningSettings(
        epochs=values.epochs,
        batch_size=_batch_size(values),
        batch_tokens=values.batch_tokens,
        batching=values.batching,
        learning_rate=values.learning_rate,
        warmup_ratio=values.warmup_ratio,
        weight_decay=values.weight_decay,
        clip_norm=values.clip_norm or None,
        layer_decay=values.layer_decay,
        seed=values.seed,
        checkpoint_every=values.checkpoint_every,
        patience=values.early_stopping,
        best_metric=best_metric,
    )


def _batch_size(values: flags.FlagValues) -> int | None:
    """None, any number, where the tokens of a batch are given and its examples are not."""
    return values.batch_size if values["batch_size"].present or not values.batch_tokens else None


def _make_task(
    kind: type[FineTunedTask], values: flags.FlagValues, options: dict[str, Any]
) -> FineTunedTask:
    random_weights = values.init.startswith("size:")
    if random_weights != (values.vocab is not None):
        expected = "--vocab is needed with" if random_weights else "--vocab goes only with"
        raise UserError(f"--init={values.init}: {expected} --init=size:…")
    tokenizer = None
    if values.vocab is not None:
        tokenizer = BertTokenizer(values.vocab, lowercase=not values.cased)
    try:
        task: FineTunedTask = kind.from_pretrained(
            values.init,
            max_length=values.seq_length or kind.default_length,
            seed=values.seed,
            dtype={"float32": "float32", "bfloat16": "mixed_bfloat16"}[values.precision],
            tokenizer=tokenizer,
            new_head=values.new_head,
            lora_rank=values.lora_rank,
            lora_alpha=values.lora_alpha,
            **options,
        )
    except UserError as error:
        message = str(error).replace("new_head=True", "--new_head")
        raise UserError(f"--init={values.init}: {message}") from None
    freeze(task.encoder, values.freeze)
    if not task.trainable_weights:
        raise UserError(f"--freeze={values.freeze}: leaves --task={values.task} nothing to train")
    return task


def _add_teacher(task: FineTunedTask, values: flags.FlagValues) -> None:
    """Lets the task learn from `--teacher` too, where there is one; in the strategy's scope."""
    if values.teacher is None:
        for name in ("distill_temperature", "distill_weight"):
            if values[name].present:
                raise UserError(f"--{name}: needs --teacher")
        return
    try:
        task.distil_from(
            load_teacher(values.teacher, task), values.distill_temperature, values.distill_weight
        )
    except UserError as error:
        raise UserError(f"--teacher={values.teacher}: {error}") from None


def _identity(
    values: flags.FlagValues,
    task: FineTunedTask,
    strategy: tf.distribute.Strategy,
    splits: dict[str, Prepared],
) -> dict[str, Any]:
    """What decides the outcome of a run: settings, and the contents behind the paths."""
    run = {name: values[name].value for name in values if name not in _WITHOUT_EFFECT}
    run["batch_size"] = _batch_size(values)
    # A run of before there was this flag has none.
    run["new_head"] = values.new_head or None
    run |= {
        "options": task.options(),
        "replicas": strategy.num_replicas_in_sync,
        "config": task.encoder.config.to_dict(),
        "vocabulary_sha256": _digest(task.tokenizer.vocabulary, task.tokenizer.identity()),
    }
    for name, split in splits.items():
        rows = [split.examples.row(index) for index in range(len(split.examples))]
        run[f"{name}_sha256"] = _digest(rows)
    return run


def _digest(*contents: Any) -> str:
    return hashlib.sha256(repr(contents).encode("utf-8", "replace")).hexdigest()


def _announce(
    task: FineTunedTask, splits: dict[str, Prepared], strategy: tf.distribute.Strategy
) -> None:
    weights = sum(int(np.prod(weight.shape)) for weight in task.trainable_weights)
    scored = len(splits["dev"].examples) if "dev" in splits else 0
    told = task.describe()
    print(
        f"{len(splits['train'].examples)} training examples, {scored} to score; "
        + (f"{told}; " if told else "")
        + f"{weights / 1e6:.1f} M trainable weights; {strategy.num_replicas_in_sync} replica(s)",
        flush=True,
    )


def _write_skipped(output_dir: pathlib.Path, bad_rows: BadRows) -> None:
    """Leaves the rows that were left out, with the reasons, and says how many there are."""
    if not bad_rows.skipped:
        return
    path = output_dir / "skipped_rows.jsonl"
    write_json_lines(path, [dataclasses.asdict(row) for row in bad_rows.skipped])
    first = bad_rows.skipped[0]
    print(
        f"left out {len(bad_rows.skipped)} row(s), see {path}; the first: {first.where}: "
        f"{first.reason}",
        flush=True,
    )


def _summary(progress: Progress, train_examples: int, skipped_rows: int) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "train_examples": train_examples,
        "skipped_rows": skipped_rows,
        "seconds": round(progress.seconds, 2),
        "input_wait": round(progress.input_wait, 4),
        "history": progress.history,
    }
    if progress.best_epoch:
        summary["best_epoch"] = progress.best_epoch
    return summary
