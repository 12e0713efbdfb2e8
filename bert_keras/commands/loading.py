"""What several verbs load: a task model from its directory, examples by flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags

from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras.tasks import FineTunedTask


def load_task(flag: str, directory: str) -> FineTunedTask:
    """The task model in a directory that `finetune` or transformers wrote.

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
            return kind.from_pretrained(directory)
    except UserError as error:
        raise UserError(f"--{flag}={directory}: {error}") from None
    architecture = ", ".join(checkpoint.settings.get("architectures") or ["none"])
    raise UserError(
        f"--{flag}={directory}: has no head of a task (architecture: {architecture}); expected "
        "a directory written by bert-keras finetune, or one of "
        + ", ".join(dict.fromkeys(task.architecture for task in TASKS.values()))
    )


def read_flagged(
    kind: type[FineTunedTask] | FineTunedTask, values: flags.FlagValues, spec: str, labelled: bool
) -> Any:
    """Examples of a task from a data source, with the column flags of the verb."""
    source = DataSource(
        spec,
        text_column=values.text_column,
        pair_column=values.pair_column,
        label_column=values.label_column,
        tfds_dir=values.tfds_dir,
    )
    return kind.read(source, labelled)
