"""What several verbs load: a task model from its directory, examples by flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags

from bert_keras.data.bad_rows import BadRows
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras.tasks import AnsweringTask, FineTunedTask

_SKIP_HINT = " (--bad_rows=skip leaves such rows out)"


def load_task(flag: str, directory: str, dtype: str | None = None, **options: Any) -> AnsweringTask:
    """The task model in a directory that `finetune` or transformers wrote.

    `dtype` is the Keras dtype policy of its layers, float32 by default.
    `options` are of the task's constructor, under the names of their flags; None is not given.

    Raises:
        UserError: the directory has no head of a known task or is damaged; names the flag.
    """
    # `predict --server` needs neither Keras nor a model.
    from bert_keras import checkpoints
    from bert_keras.tasks import TASKS, task_of

    try:
        checkpoint = checkpoints.open_checkpoint(directory)
        kind = task_of(checkpoint)
        if kind is not None:
            given = {name: value for name, value in options.items() if value is not None}
            for name in given.keys() - kind.option_names():
                raise UserError(f"holds a {kind.task_name} model, which takes no --{name}")
            return kind.from_pretrained(directory, dtype=dtype, **given)
    except UserError as error:
        raise UserError(f"--{flag}={directory}: {error}") from None
    architecture = ", ".join(checkpoint.settings.get("architectures") or ["none"])
    known = dict.fromkeys(task.architecture for task in TASKS.values() if task.head is not None)
    raise UserError(
        f"--{flag}={directory}: has no head of a task (architecture: {architecture}); expected "
        f"a directory written by bert-keras finetune, one of sentence-transformers, or one of "
        f"{', '.join(known)}"
    )


def load_scored_task(flag: str, directory: str) -> FineTunedTask:
    """As `load_task`, for what has metrics.

    Raises:
        UserError: as `load_task`, or the task has none.
    """
    from bert_keras.tasks import FineTunedTask

    task = load_task(flag, directory)
    if not isinstance(task, FineTunedTask):
        raise UserError(f"--{flag}={directory}: a {task.task_name} model has no metrics")
    return task


def read_flagged(
    kind: type[AnsweringTask] | AnsweringTask,
    values: flags.FlagValues,
    spec: str,
    labelled: bool,
    bad_rows: BadRows | None = None,
) -> Any:
    """Reads examples of a task from a data source, with the verb's flags on how to read it."""
    return kind.read(data_source(values, spec, bad_rows), labelled)


def bad_rows_of(values: flags.FlagValues) -> BadRows:
    """Returns what becomes of rows that cannot be used, by `--bad_rows`."""
    return BadRows(values.bad_rows == "skip", hint=_SKIP_HINT)


def data_source(values: flags.FlagValues, spec: str, bad_rows: BadRows | None = None) -> DataSource:
    """Returns a data source with the verb's flags on how to read it."""
    return DataSource(
        spec,
        text_column=values.text_column,
        pair_column=values.pair_column,
        label_column=values.label_column,
        tfds_dir=values.tfds_dir,
        encoding=values.encoding,
        quotes=values.quotes,
        bad_rows=bad_rows or BadRows(),
    )


def serving_needed(error: ModuleNotFoundError) -> UserError:
    """Returns the error for a missing package of the extra `serving`; raises any other again."""
    package = str(error.name).partition(".")[0]
    if package not in ("grpc", "tensorflow_serving"):
        raise error
    return UserError(
        f"the package {package} is not installed, expected pip install 'bert-keras[serving]'"
    )
