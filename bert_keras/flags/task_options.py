"""Flags of `bert-keras finetune` that belong to some tasks only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from absl import flags

from bert_keras.errors import UserError

# Which tasks take each of these flags; None, no value, is every flag's default.
TASKS_OF: Mapping[str, tuple[str, ...]] = {
    "labels": ("classification", "tagging"),
    "multi_label": ("classification",),
    "class_weights": ("classification",),
    "tag_scheme": ("tagging",),
    "crf": ("tagging",),
    "doc_stride": ("question_answering",),
    "max_query_length": ("question_answering",),
    "max_answer_length": ("question_answering",),
    "n_best": ("question_answering",),
    "null_score_threshold": ("question_answering",),
    "loss": ("embedding",),
    "pooling": ("embedding",),
    "normalize": ("embedding",),
    "max_score": ("embedding",),
}


def define(values: flags.FlagValues) -> None:
    """All of them; a flag that is not given is left to the task's own default."""
    flags.DEFINE_list(
        "labels",
        None,
        "classification, tagging: the labels in order, separated by commas, or a file with one "
        "per line, as its path or @PATH; by default those of --train, sorted",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "multi_label",
        None,
        "classification: a text has any number of labels, separated by commas or, in JSON lines, "
        "a list",
        flag_values=values,
    )
    flags.DEFINE_string(
        "class_weights",
        None,
        "classification: what labels count in the training loss, label:weight,…, 1 where nothing "
        "is said; or balanced: the more the rarer they are",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "tag_scheme",
        None,
        ["IOB1", "IOB2", "IOBES", "none"],
        "tagging: how the model's tags mark entities, none for tags without prefixes; the data's "
        "tags are converted to it. By default the data's own scheme",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "crf", None, "tagging: also learn which tag follows which", flag_values=values
    )
    _define_question_answering(values)
    _define_embedding(values)


def _define_question_answering(values: flags.FlagValues) -> None:
    for name, meaning in (
        ("doc_stride", "tokens from one window on a long context to the next, 128 by default"),
        ("max_query_length", "longest question in tokens, longer ones are cut; 64 by default"),
        ("max_answer_length", "longest answer in tokens, 30 by default"),
        ("n_best", "answers that are kept for a question, 20 by default"),
    ):
        flags.DEFINE_integer(
            name, None, f"question answering: {meaning}", lower_bound=1, flag_values=values
        )
    flags.DEFINE_float(
        "null_score_threshold",
        None,
        "question answering: how much likelier than the best answer, in logits, no answer must "
        "be to be given; by default what is best on --dev, where questions may be impossible",
        flag_values=values,
    )


def _define_embedding(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "loss",
        None,
        ["cosine", "multiple_negatives", "triplet"],
        "embedding: by default cosine for pairs with scores, else multiple_negatives",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "pooling",
        None,
        ["mean", "cls", "max"],
        "embedding: how tokens become one vector; by default the checkpoint's way, or mean",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "normalize",
        None,
        "embedding: divide vectors by their length; by default as the checkpoint does, or yes",
        flag_values=values,
    )
    flags.DEFINE_float(
        "max_score",
        None,
        "embedding: the highest score a pair can have; by default 1, or 5 where scores are above 1",
        lower_bound=1e-6,
        flag_values=values,
    )


def given(values: flags.FlagValues) -> dict[str, Any]:
    """Returns the flags that were given, by name.

    Raises:
        UserError: the file of the labels cannot be read.
    """
    found = {name: values[name].value for name in TASKS_OF if values[name].value is not None}
    if "labels" in found:
        found["labels"] = _labels(found["labels"])
    return found


def _labels(listed: list[str]) -> list[str]:
    """Returns the labels that are listed, or those of a file that is named instead."""
    # A file's name may have commas in it.
    name = ",".join(listed)
    path = name.removeprefix("@")
    if path == name and not os.path.isfile(path):
        return listed
    try:
        with open(path, encoding="utf-8-sig") as file:
            labels = [line.strip() for line in file if line.strip()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--labels={name}: cannot be read ({reason})") from None
    if not labels:
        raise UserError(f"--labels={name}: the file is empty, expected a label per line")
    return labels
