"""The teacher of a distillation, from its directory."""

from __future__ import annotations

import pathlib
from typing import Any

from bert_keras import checkpoints
from bert_keras.errors import UserError
from bert_keras.tasks.fine_tuned import FineTunedTask
from bert_keras.tasks.labelled import columns_of


def load_teacher(directory: str | pathlib.Path, student: FineTunedTask) -> Any:
    """A trained model of the student's task, its outputs in the order of the student's labels.

    Args:
        directory: a fine-tuned model directory; its size is its own, its vocabulary must be the
            student's.
        student: the model to train; call this in its strategy's scope.

    Raises:
        UserError: the directory is damaged, or is of another task or of other labels.
    """
    kind = type(student)
    checkpoint = checkpoints.open_checkpoint(directory)
    if not kind.recognises(checkpoint):
        raise UserError(f"holds no model of --task={kind.task_name} to learn from")
    options = {}
    labels = student.options().get("labels")
    if labels is not None:
        known = kind.stored_options(checkpoint).get("labels") or []
        if columns_of(known, labels) is None:
            raise UserError(f"its labels are {list(known)}, the student's {labels}")
        options["labels"] = labels
    return kind.from_pretrained(directory, seed=student.seed, dtype=student.dtype_policy, **options)
