"""`bert-keras pretrain`: masked words and next sentences, from text to a model directory."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from bert_keras.commands.pretraining_data import (
    Corpus,
    evaluation_dataset,
    open_corpus,
)
from bert_keras.data.pretraining_dataset import bad_input, dataset
from bert_keras.data.pretraining_examples import Position
from bert_keras.errors import UserError
from bert_keras.flags import ABSL_FLAGS
from bert_keras.tasks import BertPretrainer
from bert_keras.training.pretraining import Data, PretrainingRun
from bert_keras.training.pretraining_settings import Phase, PretrainingSettings
from bert_keras.training.run_directory import claim_directory
from bert_keras.training.strategies import make_strategy
from bert_keras.training.utilisation import peak_flops, training_flops
from bert_keras.training.workers import is_chief

# Flags that say where things are and how a run works, not what comes out of it. Corpora are
# compared by their fingerprints.
_WITHOUT_EFFECT = (
    *ABSL_FLAGS,
    "checkpoint_every",
    "corpus",
    "eval_corpus",
    "keep_checkpoints",
    "output_dir",
    "peak_tflops",
    "reader_threads",
    "steps_per_loop",
    "strategy",
    "tpu",
    "vocab",
)


def run(values: flags.FlagValues) -> int:
    """Leaves `model/`, `checkpoints/`, `metrics.jsonl`, events and `report.html`."""
    output_dir = pathlib.Path(values.output_dir)
    settings = _settings(values)
    # First of all: with several workers it must come before anything that starts TensorFlow.
    strategy = make_strategy(values.strategy, tpu=values.tpu)
    _check_batches(settings, strategy)
    tf.config.experimental.enable_op_determinism()
    corpus = open_corpus(values, "corpus", output_dir)
    held_out = open_corpus(values, "eval_corpus", output_dir) if values.eval_corpus else None
    keras.utils.set_random_seed(values.seed)
    with strategy.scope():
        task = _make_task(values, corpus)
    _set_length(settings, task)
    if is_chief(strategy):
        identity = _identity(values, task, strategy, corpus, held_out)
        identity["warmup_steps"] = settings.resolved_warmup
        claim_directory(output_dir, identity)
    _announce(task, corpus, strategy)
    training = PretrainingRun(
        task,
        _data(values, settings, corpus, held_out),
        output_dir,
        settings,
        strategy,
        peak_flops=_peak(values, strategy),
        flops_of=_flops(values, task),
        described={name: values[name].value for name in values if name not in ABSL_FLAGS},
    )
    try:
        preemption = training.run()
    except FloatingPointError as error:
        raise UserError(f"--output_dir={output_dir}: {error}") from None
    except tf.errors.OpError as error:
        # What went wrong in the data arrives wrapped in an error of its iterator.
        raise bad_input(error) or error from None
    if preemption.received is not None and training.step < settings.total_steps:
        return preemption.exit_status
    if is_chief(strategy):
        task.save_pretrained(output_dir / "model")
        print(f"model, curves and checkpoints are in {output_dir}")
    return 0


def _numbers(values: flags.FlagValues, name: str, phases: int | None = None) -> list[int]:
    """A flag that has one positive number for each phase, or one for all."""
    texts = values[name].value
    try:
        numbers = [int(text.replace("_", "")) for text in texts]
    except ValueError:
        numbers = [0]
    shown = f"--{name}={','.join(texts)}"
    if not numbers or min(numbers) < 1:
        raise UserError(f"{shown}: expected positive whole numbers, separated by commas")
    if phases is None or len(numbers) == phases:
        return numbers
    if len(numbers) == 1:
        return numbers * phases
    raise UserError(f"{shown}: expected one number, or one for each of --steps ({phases})")


def _settings(values: flags.FlagValues) -> PretrainingSettings:
    steps = _numbers(values, "steps")
    lengths = _numbers(values, "seq_length", len(steps))
    sizes = _numbers(values, "batch_size", len(steps))
    settings = PretrainingSettings(
        phases=tuple(map(Phase, steps, lengths, sizes)),
        learning_rate=values.learning_rate,
        optimizer=values.optimizer,
        bias_correction=values.bias_correction,
        weight_decay=values.weight_decay,
        clip_norm=values.clip_norm or None,
        warmup_steps=values.warmup_steps,
        decay=values.decay,
        power=values.power,
        decay_from=values.decay_from,
        accumulate=values.accumulate,
        seed=values.seed,
        steps_per_loop=values.steps_per_loop,
        checkpoint_every=values.checkpoint_every,
        keep_checkpoints=values.keep_checkpoints,
        eval_every=values.eval_every,
    )
    if settings.resolved_warmup >= settings.total_steps:
        raise UserError(
            f"--warmup_steps={settings.warmup_steps}: expected fewer than the "
            f"{settings.total_steps} steps of the run"
        )
    if values.eval_every and not values.eval_corpus:
        raise UserError("--eval_every: needs --eval_corpus, the data to evaluate on")
    return settings


def _check_batches(settings: PretrainingSettings, strategy: tf.distribute.Strategy) -> None:
    """Every replica gets the same number of examples, and so does every part of its share."""
    parts = strategy.num_replicas_in_sync * settings.accumulate
    for phase in settings.phases:
        if phase.batch_size % parts:
            raise UserError(
                f"--batch_size={phase.batch_size}: expected a multiple of {parts}, that is "
                f"{strategy.num_replicas_in_sync} replica(s) times --accumulate="
                f"{settings.accumulate}"
            )


def _set_length(settings: PretrainingSettings, task: BertPretrainer) -> None:
    """The model's length is that of the longest phase."""
    longest = task.encoder.config.max_position_embeddings
    task.max_length = max(phase.seq_length for phase in settings.phases)
    if task.max_length > longest:
        raise UserError(f"--seq_length={task.max_length}: the model has {longest} positions")


def _make_task(values: flags.FlagValues, corpus: Corpus) -> BertPretrainer:
    """The model in the strategy's scope; its vocabulary is the corpus's."""
    config: dict[str, Any] = {}
    if values.dropout is not None:
        config |= dict.fromkeys(
            ("hidden_dropout_prob", "attention_probs_dropout_prob"), values.dropout
        )
    if values.initializer_range is not None:
        config["initializer_range"] = values.initializer_range
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[values.precision]
    try:
        task = BertPretrainer.from_pretrained(
            values.init,
            next_sentence=values.objective == "mlm+nsp",
            seed=values.seed,
            dtype=policy,
            tokenizer=corpus.tokenizer if values.init.startswith("size:") else None,
            config=config,
        )
    except UserError as error:
        raise UserError(f"--init={values.init}: {error}") from None
    if task.tokenizer.vocabulary != corpus.tokenizer.vocabulary:
        raise UserError(
            f"--init={values.init}: its vocabulary ({task.tokenizer.vocab_size} tokens) is not "
            f"that of --corpus={values.corpus} ({corpus.tokenizer.vocab_size} tokens)"
        )
    return task


def _data(
    values: flags.FlagValues,
    settings: PretrainingSettings,
    corpus: Corpus,
    held_out: Corpus | None,
) -> Data:
    def training(phase: int, position: tuple[int, int, int], rows: Any) -> tf.data.Dataset:
        length, size = settings.phases[phase].seq_length, settings.phases[phase].batch_size
        # Each phase has a seed of its own: its first epoch is not that of the phase before.
        source = corpus.examples(values, length, seed=values.seed + phase)
        return dataset(source, size, Position(*position), rows, values.reader_threads)

    if held_out is None:
        return Data(training)
    length, size = settings.phases[-1].seq_length, settings.phases[-1].batch_size
    source = held_out.examples(values, length, seed=0)

    def evaluation(rows: Any) -> tf.data.Dataset:
        return evaluation_dataset(source, size, values.eval_examples, rows)

    return Data(training, evaluation, size)


def _identity(
    values: flags.FlagValues,
    task: BertPretrainer,
    strategy: tf.distribute.Strategy,
    corpus: Corpus,
    held_out: Corpus | None,
) -> dict[str, Any]:
    """What decides the outcome of a run: settings, and the contents behind the paths."""
    run = {name: values[name].value for name in values if name not in _WITHOUT_EFFECT}
    return run | {
        "replicas": strategy.num_replicas_in_sync,
        "config": task.encoder.config.to_dict(),
        "corpus_fingerprint": corpus.fingerprint,
        "eval_corpus_fingerprint": None if held_out is None else held_out.fingerprint,
    }


def _peak(values: flags.FlagValues, strategy: tf.distribute.Strategy) -> float:
    """FLOPs per second of all devices; logical CPUs share one."""
    peak = values.peak_tflops * 1e12 if values.peak_tflops else peak_flops(values.precision)
    on_cpu = not tf.config.list_physical_devices("GPU") and values.strategy != "tpu"
    resolver = strategy.cluster_resolver
    if on_cpu and values.strategy == "multi_worker" and resolver is not None:
        return peak * resolver.cluster_spec().num_tasks("worker")
    return peak if on_cpu else peak * strategy.num_replicas_in_sync


def _flops(values: flags.FlagValues, task: BertPretrainer) -> Any:
    def of_phase(phase: Phase) -> float:
        predictions = values.max_predictions or int(np.ceil(phase.seq_length * values.mask_rate))
        return training_flops(
            task.encoder.config, phase.seq_length, predictions, task.next_sentence
        )

    return of_phase


def _announce(task: BertPretrainer, corpus: Corpus, strategy: tf.distribute.Strategy) -> None:
    weights = sum(int(np.prod(weight.shape)) for weight in task.trainable_weights)
    print(
        f"{corpus.description}; {weights / 1e6:.1f} M trainable weights; "
        f"{strategy.num_replicas_in_sync} replica(s)",
        flush=True,
    )
